// Ways to call a callback, each with an entrypoint, a subscription and a subject of its own, in one relay with dead letters.

import { expect } from "bun:test";
import { jetstream, jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { eventually } from "./eventually.ts";
import { readMetric } from "./metrics.ts";
import { addStream } from "./nats.ts";
import { type NatsServer, startNatsServer } from "./nats-server.ts";
import { type LogLine, type RelayProcess, startRelay } from "./relay.ts";

export type Json = Readonly<Record<string, unknown>>;

export interface Way {
  /** Of the entrypoint, the subscription and the last token of the subject. */
  readonly id: string;
  /** Of the subscription's `configuration`. */
  readonly call: Json;
  /** Of the entrypoint's `configuration`. */
  readonly through?: Json;
}

export interface LabServer extends AsyncDisposable {
  readonly nats: NatsServer;
  /** Publishes to the way's subject; a body unless given is `{"way":"<id>"}`. */
  readonly publish: (id: string, body?: string) => Promise<void>;
  /** Null: there is none. */
  readonly letterOf: (id: string) => Promise<StoredMsg | null>;
  /** Nothing is pending, and nothing waits for its ack. */
  readonly isThrough: (id: string) => Promise<boolean>;
}

export interface RefusedCall {
  /** The label of the metric. */
  readonly cause: string;
  readonly error: string | RegExp;
}

const STREAM = "IN";
const LETTERS = "DLQ";

/** One nats-server for a test file: start as many relays with it as there are configs, with ways of different ids. */
export async function startLabServer(configText = ""): Promise<LabServer> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer({ configText }));
  const client = await nats.connect(configText === "" ? {} : { user: "relay", pass: passwordIn(configText) });
  const manager = await jetstreamManager(client);
  await addStream(client, { name: STREAM, subjects: ["in.>"] });
  await addStream(client, { name: LETTERS, subjects: ["dlq.>"] });
  const js = jetstream(client);
  const owned = stack.move();
  return {
    nats,
    publish: async (id, body = JSON.stringify({ way: id })) => void (await js.publish(`in.${id}`, body)),
    letterOf: (id) => manager.streams.getMessage(LETTERS, { last_by_subj: `dlq.${id}.>` }),
    async isThrough(id) {
      const { num_ack_pending, num_pending, delivered } = await manager.consumers.info(STREAM, `relay-${id}`);
      return num_ack_pending === 0 && num_pending === 0 && delivered.consumer_seq > 0;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function passwordIn(configText: string): string {
  return /password: "([^"]*)"/.exec(configText)?.[1] ?? "";
}

export function labConfig({ nats }: LabServer, ways: readonly Way[], more: Json = {}): Json {
  return {
    nats: { servers: [nats.url] },
    endpoints: [
      { name: "in", type: "jetstream", consumer: { stream: STREAM, ackWaitSeconds: 30 } },
      { name: "letters", type: "jetstream", producer: { stream: LETTERS, subject: "dlq" } },
    ],
    entrypoints: ways.map(({ id, through = {} }) => ({
      type: "webhook",
      id,
      endpoint: "in",
      dlq: { endpoint: "letters" },
      configuration: { interruptConsumptionOnException: false, ...through },
    })),
    subscriptions: ways.map(({ id, call }) => ({
      id,
      configuration: { entrypointId: id, channel: `in.${id}`, deliverPolicy: "all", ...call },
    })),
    ...more,
  };
}

/** With one message published for each way. */
export async function startLab(
  server: LabServer,
  ways: readonly Way[],
  { more = {}, ...options }: { more?: Json; env?: Readonly<Record<string, string>>; directory?: string } = {},
): Promise<RelayProcess> {
  await Promise.all(ways.map(({ id }) => server.publish(id)));
  return startRelay({ config: labConfig(server, ways, more), ...options });
}

/** What the log says of them; its lines come a little later than the rest. */
async function attemptsOf(relay: RelayProcess, id: string): Promise<readonly LogLine[]> {
  const find = () =>
    relay.logs.filter(({ message, subscription }) => message === "Attempt" && subscription === id);
  await eventually(() => find().length > 0, { what: `log lines of ${id}` });
  return find();
}

/** Every message of the way so far was delivered by one attempt. */
export async function expectDelivered(
  server: LabServer,
  relay: RelayProcess,
  { id, times = 1 }: { readonly id: string; readonly times?: number },
): Promise<void> {
  await eventually(() => server.isThrough(id), { what: `${id} is through` });
  expect((await server.letterOf(id))?.header.get("Relay-Error")).toBeUndefined();
  const labels = { subscription: id, outcome: "delivered" };
  expect(await readMetric(relay, "relay_attempts_total", labels)).toBe(times);
  expect(await readMetric(relay, "relay_attempts_total", { subscription: id })).toBe(times);
}

/** The one message of the way was answered with `status`, and is a letter. */
export async function expectRejected(
  server: LabServer,
  relay: RelayProcess,
  { id, status }: { readonly id: string; readonly status: number },
): Promise<void> {
  await eventually(() => server.isThrough(id), { what: `${id} is through` });
  const letter = await server.letterOf(id);
  expect(letter?.header.get("Relay-Reason")).toBe("rejected");
  expect(letter?.header.get("Relay-Status")).toBe(String(status));
  expect(await attemptsOf(relay, id)).toMatchObject([{ status, action: "dead-letter" }]);
  expect(await readMetric(relay, "relay_exceptions_total", { subscription: id })).toBe(0);
}

/** There was no answer to the one message of the way: log, metric and dead letter say why, all the same. */
export async function expectRefused(
  server: LabServer,
  relay: RelayProcess,
  { id, cause, error }: RefusedCall & { readonly id: string },
): Promise<void> {
  await eventually(() => server.isThrough(id), { what: `${id} is through` });
  const letter = await server.letterOf(id);
  const text = letter?.header.get("Relay-Error") ?? "";
  if (typeof error === "string") expect(text).toBe(error);
  else expect(text).toMatch(error);
  expect(letter?.header.get("Relay-Reason")).toBe("exception");
  expect(letter?.header.get("Relay-Status")).toBe("0");
  expect(await attemptsOf(relay, id)).toMatchObject([{ status: 0, error: text, action: "dead-letter" }]);
  expect(await readMetric(relay, "relay_exceptions_total", { subscription: id, cause })).toBe(1);
  expect(await readMetric(relay, "relay_exceptions_total", { subscription: id })).toBe(1);
}
