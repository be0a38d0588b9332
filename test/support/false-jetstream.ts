// Somebody who answers in place of JetStream: rightly, but for the one call that a test names.

import type { NatsConnection } from "@nats-io/transport-node";

type Json = Readonly<Record<string, unknown>>;

const TIME = "2026-01-02T03:04:05.678901234Z";
const CONSUMER: Json = {
  type: "io.nats.jetstream.api.v1.consumer_info_response",
  stream_name: "ORDERS",
  name: "relay-sub",
  created: TIME,
  config: {
    name: "relay-sub",
    durable_name: "relay-sub",
    deliver_policy: "all",
    ack_policy: "explicit",
    ack_wait: 30_000_000_000,
    max_ack_pending: 1000,
    max_deliver: -1,
    replay_policy: "instant",
    num_replicas: 0,
  },
  delivered: { consumer_seq: 3, stream_seq: 3 },
  ack_floor: { consumer_seq: 2, stream_seq: 2 },
  num_ack_pending: 1,
  num_redelivered: 0,
  num_waiting: 0,
  num_pending: 4,
};
const STREAM: Json = {
  type: "io.nats.jetstream.api.v1.stream_info_response",
  created: TIME,
  config: {
    name: "ORDERS",
    subjects: ["orders.>", "dlq.>", "$KV.relay.>"],
    retention: "limits",
    storage: "file",
    discard: "new",
    max_consumers: -1,
    max_msgs: -1,
    max_bytes: -1,
    max_age: 0,
    max_msgs_per_subject: 1,
    max_msg_size: -1,
    num_replicas: 1,
  },
  state: { messages: 3, bytes: 300, first_seq: 1, last_seq: 3, consumer_count: 1 },
};

/** By the beginning of the call, or of the subject that is published to. */
export const RIGHT_ANSWERS: Readonly<Record<string, Json>> = {
  "STREAM.INFO": STREAM,
  "STREAM.CREATE": STREAM,
  "STREAM.NAMES": { total: 1, streams: ["ORDERS"] },
  "STREAM.MSG.GET": {
    message: {
      subject: "dlq.sub.ORDERS.1-a",
      seq: 3,
      time: TIME,
      hdrs: btoa("NATS/1.0\r\nA: b\r\n\r\n"),
      data: "aGk=",
    },
  },
  "STREAM.MSG.DELETE": { success: true },
  "CONSUMER.INFO": CONSUMER,
  "CONSUMER.CREATE": CONSUMER,
  "CONSUMER.LIST": { total: 1, consumers: [CONSUMER] },
  "CONSUMER.DELETE": { success: true },
  INFO: { limits: {}, api: { total: 0 } },
  "dlq.": { stream: "ORDERS", seq: 9 },
  "$KV.": { stream: "KV_relay", seq: 9 },
};

const NO_CONSUMER: Json = { error: { code: 404, err_code: 10014, description: "consumer not found" } };

export type Lie = string | Uint8Array;

/** Answers `call` with what `lie` gives for the right answer, and everything else rightly: there is one consumer, `relay-sub`. */
export async function answerInPlaceOfJetStream(
  client: NatsConnection,
  { call, lie }: { call: string; lie: (right: Json) => Lie },
): Promise<void> {
  for (const subject of ["$JS.API.>", "dlq.>", "$KV.>"]) {
    client.subscribe(subject, {
      callback: (_, msg) => {
        const asked = msg.subject.replace("$JS.API.", "");
        const known = Object.keys(RIGHT_ANSWERS).find((start) => asked.startsWith(start));
        if (known === undefined) return;
        const isStranger = known === "CONSUMER.INFO" && !asked.endsWith(".relay-sub");
        const right = isStranger ? NO_CONSUMER : (RIGHT_ANSWERS[known] ?? {});
        msg.respond(known === call && !isStranger ? lie(right) : JSON.stringify(right));
      },
    });
  }
  await client.flush();
}

const WRONG_VALUES: readonly unknown[] = [null, "5", -1, 2 ** 60, {}, [], true, "\u0000"];

/** What is no JSON, JSON of another shape, and the right answer with each of its fields left out or wrong. */
export function liesAbout(right: Json): readonly Lie[] {
  const text = JSON.stringify(right);
  const whole: readonly Lie[] = [
    "",
    "null",
    "[]",
    "[null]",
    "{}",
    "7",
    '"text"',
    "true",
    "+ACK",
    text.slice(0, -2),
    `${text}}`,
    text.replaceAll(/\d+/g, "1e400"),
    text.replaceAll(/"20[^"]+"/g, '"yesterday"'),
    new Uint8Array([0xff, 0xfe, 0x7b, 0x00]),
    "[".repeat(50_000),
    `{"a":`.repeat(20_000),
    '{"error":null}',
    '{"error":"no"}',
    '{"error":[]}',
    '{"error":{}}',
    '{"error":{"code":"503"}}',
    '{"error":{"code":404,"err_code":"10014","description":7}}',
    JSON.stringify({ error: { code: 400, description: "x".repeat(100_000) } }),
    JSON.stringify({ type: "io.nats.jetstream.api.v1.consumer_info_response" }),
  ];
  const partial: Lie[] = [];
  for (const path of pathsOf(right)) {
    partial.push(JSON.stringify(changed(right, path, undefined)));
    for (const value of WRONG_VALUES) partial.push(JSON.stringify(changed(right, path, value)));
  }
  return whole.concat(partial);
}

function pathsOf(value: unknown, path: readonly string[] = []): readonly (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [];
  const paths: (readonly string[])[] = [];
  for (const [key, child] of Object.entries(value)) {
    const own = path.concat(key);
    paths.push(own, ...pathsOf(child, own));
  }
  return paths;
}

/** `undefined`: left out. */
function changed(value: unknown, [key, ...rest]: readonly string[], to: unknown): unknown {
  if (key === undefined) return to;
  const copy = structuredClone(value) as Record<string, unknown>;
  copy[key] = changed(copy[key], rest, to);
  return copy;
}
