// What becomes of a message that its callback will not have: the letter as it is stored, and what happens when it cannot be.

import { jetstream, jetstreamManager, type JetStreamManager, type StoredMsg } from "@nats-io/jetstream";
import { headers as createHeaders, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric, readReadiness } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type Receiver, type Respond, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";

interface StartOptions {
  readonly qos?: "AUTO" | "AT_LEAST_ONCE";
  /** The streams of the dead-letter endpoints, in order; their subjects are the same in lower case. */
  readonly letterStreams?: readonly string[];
  readonly entrypoint?: object;
  readonly subscription?: object;
  readonly more?: object;
}

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly client: NatsConnection;
  readonly manager: JetStreamManager;
  readonly receiver: Receiver;
  /** With the state of the relay before it. */
  start: (options?: StartOptions) => Promise<RelayProcess>;
  publish: (body: string | Uint8Array, headers?: MsgHdrs) => Promise<number>;
  isThrough: () => Promise<boolean>;
  ackFloor: () => Promise<number>;
}

async function setUp({
  respond = () => 404,
  natsConfig = "",
}: { respond?: Respond; natsConfig?: string } = {}) {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer({ configText: natsConfig }));
  const receiver = stack.use(await startReceiver(respond));
  const directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  const manager = await jetstreamManager(client);
  await addStream(client);
  const owned = stack.move();
  const consumer = () => manager.consumers.info("ORDERS", "relay-sub");
  const setup: Setup = {
    nats,
    client,
    manager,
    receiver,
    start: (options = {}) =>
      startRelay({ directory, config: toConfig(nats.url, receiver.url.href, options) }),
    async publish(body, headers) {
      const options = headers === undefined ? {} : { headers };
      return (await jetstream(client).publish("orders.new", body, options)).seq;
    },
    async isThrough() {
      const { num_ack_pending, num_pending } = await consumer();
      return num_ack_pending === 0 && num_pending === 0;
    },
    ackFloor: async () => (await consumer()).ack_floor.stream_seq,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
  return setup;
}

function toConfig(natsUrl: string, callbackUrl: string, options: StartOptions): Record<string, unknown> {
  const { qos = "AUTO", letterStreams = ["DLQ"], entrypoint = {}, subscription = {}, more = {} } = options;
  const base = testConfig({ natsUrl, callbackUrl, qos, entrypoint });
  return {
    ...base,
    endpoints: [
      { name: "orders", type: "jetstream", consumer: { stream: "ORDERS", ackWaitSeconds: 5 } },
      ...letterStreams.map((stream) => ({
        name: stream,
        type: "jetstream",
        producer: { stream, subject: stream.toLowerCase() },
      })),
    ],
    endpointGroups: [{ name: "letters", endpoints: letterStreams }],
    entrypoints: [
      { type: "webhook", endpoint: "orders", qos, dlq: { endpoint: "letters" }, configuration: entrypoint },
    ],
    subscriptions: [
      {
        id: "sub",
        application: "billing & co",
        configuration: { entrypointId: "webhook", callbackUrl, deliverPolicy: "all", ...subscription },
      },
    ],
    ...more,
  };
}

async function addLetterStream({ client }: Setup, name: string): Promise<void> {
  await addStream(client, { name, subjects: [`${name.toLowerCase()}.>`] });
}

async function countLetters({ manager }: Setup, stream: string): Promise<number> {
  return (await manager.streams.info(stream)).state.messages;
}

async function readLetter({ manager }: Setup, stream: string, sequence = 1): Promise<StoredMsg> {
  const what = `letter ${sequence} in ${stream}`;
  return eventually(async () => (await manager.streams.getMessage(stream, { seq: sequence })) ?? undefined, {
    what,
  });
}

/** Without those that steer the server: it stores them with the rest. */
function headersOf({ header }: StoredMsg): Record<string, readonly string[]> {
  const own = [...header].filter(([name]) => !name.startsWith("Nats-Expected-"));
  return Object.fromEntries(own);
}

/** `<sequence>-<time in base 36>`, from what the server says of the message. */
async function tokenOf({ manager }: Setup, sequence: number): Promise<{ token: string; time: string }> {
  const time = (await manager.streams.getMessage("ORDERS", { seq: sequence }))?.timestamp ?? "";
  const [seconds = "", fraction = ""] = time.replace("Z", "").split(".");
  const nanos = BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
  return { token: nanos.toString(36), time };
}

test("the letter: the bytes untouched, the headers less the server's, what Relay says of it, one subject of its own", async () => {
  await using setup = await setUp({ respond: () => ({ status: 422, body: "no such customer" }) });
  await addLetterStream(setup, "DLQ");
  const bytes = new Uint8Array(Array.from({ length: 256 }, (_, byte) => byte));
  const own = createHeaders();
  own.append("Nats-Msg-Id", "order-7");
  own.append("X-Tenant", "ünïcode");
  own.append("X-Twice", "1");
  own.append("X-Twice", "2");
  own.append("Content-Type", "application/octet-stream");
  own.append("Authorization", "Bearer of-the-publisher");
  own.append("Relay-Reason", "a lie");
  own.append("webhook-id", "a lie");
  const sequence = await setup.publish(bytes, own);
  const startedAt = Date.now();
  await using relay = await setup.start();
  const letter = await readLetter(setup, "DLQ");
  const { token, time } = await tokenOf(setup, sequence);
  expect(letter.subject).toBe(`dlq.sub.ORDERS.${sequence}-${token}`);
  expect([...letter.data]).toEqual([...bytes]);
  const { "Relay-Dead-Lettered-At": at, ...rest } = headersOf(letter);
  expect(rest).toEqual({
    "X-Tenant": ["ünïcode"],
    "X-Twice": ["1", "2"],
    "Content-Type": ["application/octet-stream"],
    Authorization: ["Bearer of-the-publisher"],
    "Relay-Reason": ["rejected"],
    "Relay-Status": ["422"],
    "Relay-Error": ["Callback answered 422"],
    "Relay-Attempts": ["1"],
    "Relay-Subscription": ["sub"],
    "Relay-Application": ["billing & co"],
    "Relay-Entrypoint": ["webhook"],
    "Relay-Stream": ["ORDERS"],
    "Relay-Sequence": [String(sequence)],
    "Relay-Subject": ["orders.new"],
    "Relay-Time-Stamp": [time],
    "Relay-Message-Id": ["order-7"],
    "webhook-id": [`msg_ORDERS_${sequence}_${token}`],
  });
  expect(at?.[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(at?.[0] ?? "")).toBeGreaterThanOrEqual(startedAt);
  expect(Date.parse(at?.[0] ?? "")).toBeLessThanOrEqual(Date.now());
  await eventually(() => setup.isThrough());
  const stored = { subscription: "sub", reason: "rejected" };
  expect(await readMetric(relay, "relay_dead_letters_total", stored)).toBe(1);
});

test("after retries the letter tells how many attempts there were, and what the last one came to", async () => {
  await using setup = await setUp({ respond: (_request, index) => (index === 0 ? 500 : 503) });
  await addLetterStream(setup, "DLQ");
  await setup.publish("x");
  await using _relay = await setup.start({
    entrypoint: { interruptConsumptionOnServerError: false },
    subscription: { retry: { ...RETRY_ON_FAIL, maxAttempts: 1 } },
  });
  const letter = headersOf(await readLetter(setup, "DLQ"));
  expect(letter["Relay-Reason"]).toEqual(["server-error"]);
  expect(letter["Relay-Status"]).toEqual(["503"]);
  expect(letter["Relay-Attempts"]).toEqual(["2"]);
});

test("of a group the first that is there takes the letter, and one is enough to be ready", async () => {
  await using setup = await setUp();
  await addLetterStream(setup, "SECOND");
  await addLetterStream(setup, "THIRD");
  await setup.publish("x");
  await using relay = await setup.start({ letterStreams: ["MISSING", "SECOND", "THIRD"] });
  expect((await readLetter(setup, "SECOND")).string()).toBe("x");
  await eventually(() => setup.isThrough());
  expect(await countLetters(setup, "THIRD")).toBe(0);
  expect((await relay.logged("Message dead-lettered"))["endpoint"]).toBe("SECOND");
  expect((await readReadiness(relay)).status).toBe(200);
});

test.each([["AUTO"], ["AT_LEAST_ONCE"]] as const)(
  "%s: without any place for a letter nothing is acknowledged, readiness is red, and it goes on once there is one",
  async (qos) => {
    await using setup = await setUp({ respond: ({ body }) => (body.toString() === "bad" ? 404 : 200) });
    const { receiver } = setup;
    for (const body of ["bad", "good", "good"]) await setup.publish(body);
    await using relay = await setup.start({ qos, letterStreams: ["ONE", "TWO"] });
    const red = await eventually(
      async () => {
        const answer = await readReadiness(relay);
        return answer.status === 503 && answer.reasons.join().includes("TWO") && answer;
      },
      { withinMs: 5000, what: "red" },
    );
    expect(red.reasons.join()).toContain("Dead-letter stream ONE: not found");
    // Longer than the ack wait: the message stays with this relay, and is not sent again.
    const redAt = performance.now();
    await eventually(() => performance.now() - redAt > 6000);
    const bodies = () => receiver.requests.map(({ body }) => body.toString());
    expect(bodies()).toEqual(qos === "AT_LEAST_ONCE" ? ["bad"] : ["bad", "good", "good"]);
    expect(await setup.ackFloor()).toBe(0);
    expect(relay.logs.filter(({ message }) => message === "Cannot store dead letters")).toHaveLength(1);
    expect(await isInState(relay, "sub", "consuming")).toBe(true);
    await addLetterStream(setup, "TWO");
    await eventually(() => setup.isThrough(), { withinMs: 15_000 });
    expect(await countLetters(setup, "TWO")).toBe(1);
    expect(bodies()).toEqual(["bad", "good", "good"]);
    await eventually(async () => (await readReadiness(relay)).status === 200, { what: "green" });
  },
  40_000,
);

test("too big with its headers: the copied ones go; too big without any: interrupted, and never acknowledged", async () => {
  await using setup = await setUp({ natsConfig: "max_payload: 4096" });
  await addLetterStream(setup, "DLQ");
  const own = createHeaders();
  own.append("X-Large", "x".repeat(2000));
  await setup.publish("b".repeat(1800), own);
  await setup.publish("c".repeat(3900));
  await setup.publish("d".repeat(4090));
  await using relay = await setup.start({ qos: "AT_LEAST_ONCE" });
  await eventually(() => isInState(relay, "sub", "failed"));

  const first = await readLetter(setup, "DLQ", 1);
  expect(first.string()).toBe("b".repeat(1800));
  expect(headersOf(first)["X-Large"]).toBeUndefined();
  expect(headersOf(first)["Relay-Error"]).toEqual(["Callback answered 404"]);
  expect(headersOf(first)["webhook-id"]).toHaveLength(1);
  const second = await readLetter(setup, "DLQ", 2);
  expect(second.string()).toBe("c".repeat(3900));
  expect(headersOf(second)).toEqual({});
  expect(second.subject).toMatch(/^dlq\.sub\.ORDERS\.2-\w+$/);

  const interruption = await relay.logged("Subscription interrupted");
  expect(interruption["cause"]).toMatch(
    /^Message 3 of ORDERS \(orders\.new\): Cannot store its dead letter: Dead-letter stream DLQ: \d+ bytes, of 4096/,
  );
  expect(await setup.ackFloor()).toBe(2);
  expect(await countLetters(setup, "DLQ")).toBe(2);
});

test("a message that comes again and whose letter is stored is acknowledged without a request", async () => {
  await using setup = await setUp({ respond: (_request, index) => (index === 0 ? null : 200) });
  const { receiver, client } = setup;
  await addLetterStream(setup, "DLQ");
  const sequence = await setup.publish("handled");
  const more = { shutdown: { graceSeconds: 0 } };
  await using first = await setup.start({ more });
  await eventually(() => receiver.requests.length === 1);
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  // As if it had been killed between the letter and the acknowledgement.
  const { token } = await tokenOf(setup, sequence);
  await jetstream(client).publish(`dlq.sub.ORDERS.${sequence}-${token}`, "handled");
  await setup.publish("next");
  await using second = await setup.start({ more });
  await eventually(() => receiver.requests.length === 2);
  await eventually(() => setup.isThrough());
  expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["handled", "next"]);
  expect(await readMetric(second, "relay_messages_total", { ending: "suppressed" })).toBe(1);
  expect(await countLetters(setup, "DLQ")).toBe(1);
});

test("one that comes again with no letter is sent again", async () => {
  await using setup = await setUp({ respond: (_request, index) => (index === 0 ? null : 200) });
  const { receiver, client } = setup;
  await addLetterStream(setup, "DLQ");
  const sequence = await setup.publish("handled");
  const more = { shutdown: { graceSeconds: 0 } };
  await using first = await setup.start({ more });
  await eventually(() => receiver.requests.length === 1);
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  // Of a stream that had its name before: the same sequence, another time.
  await jetstream(client).publish(`dlq.sub.ORDERS.${sequence}-abc`, "of another message");
  await using _second = await setup.start({ more });
  await eventually(() => receiver.requests.length === 2);
  await eventually(() => setup.isThrough());
});
