// Every row of the decision table under every quality of service, through the binary: one relay, one subscription a case.

import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type Answer, type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";
type Action = "dead-letter" | "drop" | "interrupt";

interface Row {
  readonly failure: "rejected" | "server-error" | "exception";
  readonly answer: Answer;
  readonly interrupts: boolean;
  readonly hasDeadLetters: boolean;
  readonly action: Action;
}

interface Case extends Row {
  readonly qos: Qos;
  readonly id: string;
  readonly stream: string;
}

const FAILURES = [
  { failure: "rejected", answer: 404 },
  { failure: "server-error", answer: 500 },
  { failure: "exception", answer: "reset" },
] as const;

/** Rejected: by dead letters alone. The others: by the flag, and by dead letters where it is off. */
const ROWS: readonly Row[] = [
  { ...FAILURES[0], interrupts: true, hasDeadLetters: true, action: "dead-letter" },
  { ...FAILURES[0], interrupts: false, hasDeadLetters: true, action: "dead-letter" },
  { ...FAILURES[0], interrupts: true, hasDeadLetters: false, action: "interrupt" },
  { ...FAILURES[0], interrupts: false, hasDeadLetters: false, action: "interrupt" },
  ...FAILURES.slice(1).flatMap((failure): Row[] => [
    { ...failure, interrupts: true, hasDeadLetters: true, action: "interrupt" },
    { ...failure, interrupts: true, hasDeadLetters: false, action: "interrupt" },
    { ...failure, interrupts: false, hasDeadLetters: true, action: "dead-letter" },
    { ...failure, interrupts: false, hasDeadLetters: false, action: "drop" },
  ]),
];
const QOS: readonly Qos[] = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"];
const CASES: readonly Case[] = QOS.flatMap((qos) => ROWS.map((row, index) => toCase(row, { qos, index })));

function toCase(row: Row, { qos, index }: { qos: Qos; index: number }): Case {
  return { ...row, qos, id: `${qos}-${index}`, stream: `S_${qos}_${index}` };
}

function toConfig(nats: NatsServer, receiver: ScriptedReceiver): Record<string, unknown> {
  return {
    nats: { servers: [nats.url] },
    endpoints: [
      ...CASES.map(({ id, stream }) => ({ name: id, type: "jetstream", consumer: { stream } })),
      { name: "letters", type: "jetstream", producer: { stream: "DLQ", subject: "dlq", create: true } },
    ],
    entrypoints: CASES.map(({ id, qos, interrupts, hasDeadLetters }) => ({
      type: "webhook",
      id,
      endpoint: id,
      qos,
      ...(hasDeadLetters ? { dlq: { endpoint: "letters" } } : {}),
      configuration: {
        http: { maxConcurrentConnections: 1 },
        interruptConsumptionOnServerError: interrupts,
        interruptConsumptionOnException: interrupts,
      },
    })),
    subscriptions: CASES.map(({ id }) => ({
      id,
      configuration: { entrypointId: id, deliverPolicy: "all", callbackUrl: `${receiver.url}/${id}` },
    })),
  };
}

let stack: AsyncDisposableStack;
let nats: NatsServer;
let receiver: ScriptedReceiver;
let relay: RelayProcess;
let manager: JetStreamManager;
let directory: string;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  receiver = stack.use(await startScriptedReceiver());
  directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  manager = await jetstreamManager(client);
  const js = jetstream(client);
  for (const { stream, answer } of CASES) {
    await manager.streams.add({ name: stream, subjects: [stream] });
    await js.publish(stream, JSON.stringify({ name: "bad", answers: [answer] }));
    await js.publish(stream, JSON.stringify({ name: "good-1" }));
    await js.publish(stream, JSON.stringify({ name: "good-2" }));
  }
  relay = await startRelay({ config: toConfig(nats, receiver), directory });
  await relay.url();
});

afterAll(async () => {
  await relay[Symbol.asyncDispose]();
  await stack.disposeAsync();
});

async function letters({ id, stream }: Case): Promise<number> {
  const info = await manager.streams.info("DLQ", { subjects_filter: `dlq.${id}.${stream}.*` });
  return Object.keys(info.state.subjects ?? {}).length;
}

async function metric(name: string): Promise<string> {
  const text = await (await fetch(`${await relay.url()}/metrics`)).text();
  return text.split("\n").find((line) => line.startsWith(name)) ?? "";
}

/** True if the stream will deliver `bad` again: it holds it and it is not acknowledged. */
function isRedeliverable({ qos }: Case): boolean {
  return qos === "AUTO" || qos === "AT_LEAST_ONCE";
}

describe.each(CASES.filter(({ action }) => action !== "interrupt").map((row) => [row] as const))(
  "%j",
  (row) => {
    test(`${row.action} and go on`, async () => {
      await eventually(() => receiver.names(`/${row.id}`).length >= 3);
      expect(receiver.names(`/${row.id}`)).toEqual(["bad", "good-1", "good-2"]);
      await eventually(async () => {
        const { num_ack_pending, num_pending } = await manager.consumers.info(row.stream, `relay-${row.id}`);
        return num_ack_pending === 0 && num_pending === 0;
      });
      expect(await letters(row)).toBe(row.action === "dead-letter" ? 1 : 0);
      const ending = row.action === "drop" ? "dropped" : "dead-lettered";
      const name = `relay_messages_total{subscription="${row.id}",ending="${ending}"}`;
      await eventually(async () => (await metric(name)).endsWith("} 1"));
      expect(await metric(`relay_subscription_state{subscription="${row.id}",state="running"}`)).toEndWith(
        " 1",
      );
    });
  },
);

describe.each(CASES.filter(({ action }) => action === "interrupt").map((row) => [row] as const))(
  "%j",
  (row) => {
    test("interrupt: nothing after the cause is sent, nothing is forgotten", async () => {
      const state = `relay_subscription_state{subscription="${row.id}",state="failed"}`;
      await eventually(async () => (await metric(state)).endsWith(" 1"));
      expect(receiver.names(`/${row.id}`)).toEqual(["bad"]);
      expect(await letters(row)).toBe(!isRedeliverable(row) && row.hasDeadLetters ? 1 : 0);
      const { ack_floor } = await manager.consumers.info(row.stream, `relay-${row.id}`);
      expect(ack_floor.stream_seq).toBe(isRedeliverable(row) ? 0 : 1);
      const interruption = relay.logs.find(
        (line) => line.message === "Subscription interrupted" && line["subscription"] === row.id,
      );
      expect(interruption?.["cause"]).toContain(`Message 1 of ${row.stream}`);
      const isLost = !isRedeliverable(row) && !row.hasDeadLetters;
      expect(String(interruption?.["cause"]).includes("lost")).toBe(isLost);
    });
  },
);

test("a restart resumes what was interrupted: the cause first, where the stream still has it", async () => {
  receiver.heal();
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  relay = await startRelay({ config: toConfig(nats, receiver), directory });
  for (const row of CASES.filter(({ action }) => action === "interrupt")) {
    const expected = isRedeliverable(row) ? ["bad", "bad", "good-1", "good-2"] : ["bad", "good-1", "good-2"];
    await eventually(() => receiver.names(`/${row.id}`).length >= expected.length, { what: row.id });
    expect(receiver.names(`/${row.id}`)).toEqual(expected);
  }
});
