// What a power failure takes from a single nats-server: the tail of a stream, acknowledgements, or both. The store is put
// back to a copy that was made earlier; sequences are given out again.

import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;

/** What is put back: all of the store, the messages of the stream alone, or the consumers alone. */
type Part = "" | "jetstream/$G/streams/ORDERS/msgs" | "jetstream/$G/streams/ORDERS/obs";

const ALL: Part = "";
const MESSAGES: Part = "jetstream/$G/streams/ORDERS/msgs";
const CONSUMERS: Part = "jetstream/$G/streams/ORDERS/obs";

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly receiver: ScriptedReceiver;
  readonly start: () => Promise<RelayProcess>;
  publish: (prefix: string, count: number) => Promise<void>;
  /** Stops the server and copies its store. */
  copyStore: () => Promise<void>;
  /** Of a server that is stopped. */
  putBack: (part: Part) => Promise<void>;
  count: (prefix: string) => number;
  /** Up to which the journal says that all is acknowledged. */
  place: () => Promise<number>;
}

async function setUp(qos: Qos): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver());
  const { path: directory } = stack.use(await temporaryDirectory());
  await addStream(await nats.connect());
  const store = join(nats.directory, "store");
  const copy = join(nats.directory, "copy");
  const owned = stack.move();
  return {
    nats,
    receiver,
    start: () =>
      startRelay({
        config: testConfig({
          natsUrl: nats.url,
          callbackUrl: `${receiver.url}/sub`,
          qos,
          // A busy machine lets the server be silent for a part of 5 s: that alone would repeat what is in flight.
          consumer: { ackWaitSeconds: 30 },
        }),
        directory,
      }),
    async publish(prefix, count) {
      const js = jetstream(await nats.connect());
      for (let n = 1; n <= count; n += 1)
        await js.publish("orders.x", JSON.stringify({ name: `${prefix}-${n}` }));
    },
    async copyStore() {
      await nats.terminate();
      await cp(store, copy, { recursive: true });
    },
    async putBack(part) {
      await rm(join(store, part), { recursive: true, force: true });
      await cp(join(copy, part), join(store, part), { recursive: true });
    },
    count: (prefix) => new Set(receiver.names("/sub").filter((name) => name.startsWith(`${prefix}-`))).size,
    async place() {
      const lines = (await Bun.file(join(directory, ".relay/journal/sub")).text()).split("\n");
      const head = lines.findLast((line) => line.startsWith("{")) ?? "";
      return Number(/"place":(\d+)/u.exec(head)?.[1] ?? 0);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function repeated(receiver: ScriptedReceiver): readonly string[] {
  const names = receiver.names("/sub");
  return names.filter((name, index) => names.indexOf(name) !== index);
}

const TURNS = (["AUTO", "AT_LEAST_ONCE", "AT_MOST_ONCE"] as const).flatMap((qos) =>
  (["runs on", "is started again"] as const).map((relay) => [qos, relay] as const),
);

async function restart(setup: Setup, running: RelayProcess): Promise<RelayProcess> {
  running.signal("SIGTERM");
  await running.exited;
  await running[Symbol.asyncDispose]();
  const next = await setup.start();
  await next.logged("Consuming");
  return next;
}

/** `first` is in the copy, `lost` is not; returns the relay that goes on. */
async function loseTail(setup: Setup, part: Part, relay: string): Promise<RelayProcess> {
  const { nats, receiver, publish } = setup;
  let running = await setup.start();
  await running.logged("Consuming");
  await publish("first", 100);
  await eventually(() => setup.count("first") === 100);
  // The floor is read every 15 s, and when the relay starts.
  const reach = async (floor: number) => {
    running = await restart(setup, running);
    await eventually(async () => (await setup.place()) === floor, { what: `floor ${floor}` });
  };
  if (part === MESSAGES) await reach(100);
  await setup.copyStore();
  await nats.restart();
  await publish("lost", 50);
  await eventually(() => setup.count("lost") === 50);
  expect(receiver.requests).toHaveLength(150);
  await reach(150);
  if (relay === "is started again") {
    running.signal("SIGTERM");
    await running.exited;
  }
  await nats.terminate();
  await setup.putBack(part);
  await nats.restart();
  await publish("new", 60);
  if (relay === "is started again") {
    await running[Symbol.asyncDispose]();
    running = await setup.start();
  }
  return running;
}

test.each(TURNS)(
  "%s: what is published after a stream lost its tail is delivered, while the relay %s",
  async (qos, relay) => {
    await using setup = await setUp(qos);
    await using running = await loseTail(setup, ALL, relay);
    await running.logged("Consuming");
    await eventually(() => setup.count("new") === 60);
    expect(repeated(setup.receiver)).toEqual([]);
  },
  120_000,
);

// Servers before 2.11 keep the consumer where it was, and pass over what is published up to there.
test.each([
  ["AUTO", "is started again"],
  ["AT_LEAST_ONCE", "runs on"],
  ["AT_MOST_ONCE", "is started again"],
  ["AT_MOST_ONCE", "runs on"],
] as const)(
  "%s: what is published after a stream lost its tail, but its consumer not its place, is delivered, while the relay %s",
  async (qos, relay) => {
    await using setup = await setUp(qos);
    await using running = await loseTail(setup, MESSAGES, relay);
    await running.logged("Consuming");
    await eventually(() => setup.count("new") === 60);
    expect(repeated(setup.receiver)).toEqual([]);
  },
  120_000,
);

test.each(TURNS)(
  "%s: what a server delivers again that forgot all acknowledgements is not sent again, while the relay %s",
  async (qos, relay) => {
    await using setup = await setUp(qos);
    const { nats, publish } = setup;
    let running = await setup.start();
    await running.logged("Consuming");
    await setup.copyStore();
    await nats.restart();
    await publish("first", 300);
    await eventually(() => setup.count("first") === 300);
    if (relay === "is started again") {
      running.signal("SIGTERM");
      await running.exited;
    }
    await nats.terminate();
    await setup.putBack(CONSUMERS);
    await nats.restart();
    if (relay === "is started again") {
      await running[Symbol.asyncDispose]();
      running = await setup.start();
    }
    await publish("new", 10);
    await eventually(() => setup.count("new") === 10);
    expect(repeated(setup.receiver)).toEqual([]);
    await running[Symbol.asyncDispose]();
  },
  120_000,
);

// What was completed long ago has no line in the journal any more.
test.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"]] as const)(
  "%s: what a server delivers again of what was completed two floors ago is not sent again",
  async (qos) => {
    await using setup = await setUp(qos);
    const { nats, publish } = setup;
    let running = await setup.start();
    await running.logged("Consuming");
    await setup.copyStore();
    await nats.restart();
    await publish("first", 100);
    await eventually(() => setup.count("first") === 100);
    running = await restart(setup, running);
    await publish("second", 1);
    await eventually(() => setup.count("second") === 1);
    running = await restart(setup, running);
    await eventually(async () => (await setup.place()) === 101);
    await nats.terminate();
    await setup.putBack(CONSUMERS);
    await nats.restart();
    await publish("new", 10);
    await eventually(() => setup.count("new") === 10);
    expect(repeated(setup.receiver)).toEqual([]);
    await running[Symbol.asyncDispose]();
  },
  120_000,
);
