// `npm run bench`: Relay against a bare loop, in one run, as ratios.
//
// Both run all the time, and deliver in turns of a second or so, one at rest while the other is at it: what the neighbours of the
// machine do hits both alike, and both are warm.
//
// `--quick`: fewer turns. `--qos AUTO`: only that. `--log`: AUTO with and without a record of each message. `--soak N`: N messages under AUTO, for the memory.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { BINARY, startRelay } from "../support/relay.ts";
import { readProcess } from "./process.ts";

type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";

interface Subject extends AsyncDisposable {
  readonly pid: number;
}

interface Shape {
  readonly qos: Qos;
  readonly connections: number;
  readonly bytes: number;
  /** More of the entrypoint's `configuration`. */
  readonly entrypoint?: Readonly<Record<string, unknown>>;
}

interface Rate {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

interface Receipts {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    qos: { type: "string" },
    soak: { type: "string" },
  },
});
const PACED_PER_SECOND = 200;
const PACED_SECONDS = values.quick ? 2 : 10;
/** Nothing is measured in the first turns, while the compilers of both are at it. */
const WARM_UP_TURNS = values.quick ? 2 : 12;
/** How many messages are a turn, by their size, and how many turns are measured. */
const CASES = [
  { qos: "NONE", connections: 20, turn: { 256: 10_000, 16_384: 5000 }, turns: 5 },
  { qos: "AUTO", connections: 20, turn: { 256: 15_000, 16_384: 10_000 }, turns: 15 },
  { qos: "AT_LEAST_ONCE", connections: 1, turn: { 256: 2000, 16_384: 2000 }, turns: 41 },
  { qos: "AT_MOST_ONCE", connections: 1, turn: { 256: 500, 16_384: 500 }, turns: 5 },
] as const;
const SOAK_TURN = 20_000;
const REST_MS = 20_000;
const SIZES = [256, 16_384] as const;

async function startReceiver(): Promise<{ url: string } & AsyncDisposable> {
  const child = Bun.spawn(["bun", new URL("receiver.ts", import.meta.url).pathname], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const url = new TextDecoder().decode(value).trim();
  return {
    url,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

function startBareLoop(nats: NatsServer, receiverUrl: string, { qos, connections }: Shape): Subject {
  const script = new URL("bare-loop.ts", import.meta.url).pathname;
  const acks = qos === "NONE" ? "no-acks" : "acks";
  const child = Bun.spawn(["bun", script, nats.url, receiverUrl, acks, String(connections)], {
    stdout: "inherit",
    stderr: "inherit",
  });
  return {
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

function startRelayFor(
  nats: NatsServer,
  receiverUrl: string,
  { qos, connections, entrypoint = {} }: Shape,
): Promise<Subject> {
  return startRelay({
    config: {
      nats: { servers: [nats.url] },
      logs: { level: "warn" },
      endpoints: [{ name: "bench", type: "jetstream", consumer: { stream: "BENCH", deliverPolicy: "all" } }],
      entrypoints: [
        {
          type: "webhook",
          qos,
          configuration: { http: { maxConcurrentConnections: connections }, ...entrypoint },
        },
      ],
      subscriptions: [{ id: "bench", configuration: { entrypointId: "webhook", callbackUrl: receiverUrl } }],
    },
  });
}

/** As many bytes as asked for, with the time of publishing in front. */
function bodyOf(bytes: number): string {
  return String(performance.timeOrigin + performance.now()).padEnd(bytes, " ");
}

async function publishAll(client: NatsConnection, messages: number, bytes: number): Promise<void> {
  const js = jetstream(client);
  const batch = 500;
  for (let sent = 0; sent < messages; sent += batch) {
    const size = Math.min(batch, messages - sent);
    await Promise.all(Array.from({ length: size }, () => js.publish("bench", bodyOf(bytes))));
  }
}

async function publishPaced(client: NatsConnection, messages: number, bytes: number): Promise<void> {
  const js = jetstream(client);
  const startedAt = performance.now();
  for (let sent = 0; sent < messages; sent += 1) {
    const dueMs = startedAt + (sent * 1000) / PACED_PER_SECOND - performance.now();
    if (dueMs > 1) await Bun.sleep(dueMs);
    void js.publish("bench", bodyOf(bytes));
  }
}

/** One that delivers, with a nats-server and a receiver of its own. */
interface Lane extends AsyncDisposable {
  /** Fills the stream while the subject is stopped, then lets it deliver: nothing else is at work meanwhile. */
  readonly turn: (messages: number) => Promise<Rate>;
  /** Messages that come slowly, for the time from publish to receipt. */
  readonly pace: () => Promise<Receipts>;
  readonly pid: number;
}

interface Contender {
  readonly who: string;
  readonly shape: Shape;
  readonly start: (nats: NatsServer, url: string) => Subject | Promise<Subject>;
}

/** `maxMessages`: older ones leave the stream, so that the disk holds it. */
async function openLane({ shape, start }: Contender, maxMessages: number): Promise<Lane> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startReceiver());
  const client = stack.adopt(await connect({ servers: nats.url }), (opened) => opened.close());
  const manager = await jetstreamManager(client);
  await manager.streams.add({ name: "BENCH", subjects: ["bench"], max_msgs: maxMessages });
  const { pid } = stack.use(await start(nats, receiver.url));
  const owned = stack.move();

  async function receive(messages: number): Promise<Receipts> {
    return (await (await fetch(`${receiver.url}${messages}`)).json()) as Receipts;
  }

  return {
    pid,
    async turn(messages) {
      process.kill(pid, "SIGSTOP");
      await publishAll(client, messages, shape.bytes);
      const before = await readProcess(pid);
      process.kill(pid, "SIGCONT");
      const { firstAt, lastAt } = await receive(messages);
      const { cpuMicros } = await readProcess(pid);
      return {
        perSecond: (messages - 1) / ((lastAt - firstAt) / 1000),
        cpuMicros: (cpuMicros - before.cpuMicros) / messages,
      };
    },
    async pace() {
      const messages = PACED_PER_SECOND * PACED_SECONDS;
      const [receipts] = await Promise.all([receive(messages), publishPaced(client, messages, shape.bytes)]);
      return receipts;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const relayFor = (shape: Shape, who = "relay"): Contender => ({
  who,
  shape,
  start: (nats, url) => startRelayFor(nats, url, shape),
});
const bareLoopFor = (shape: Shape): Contender => ({
  who: "bare",
  shape,
  start: (nats, url) => startBareLoop(nats, url, shape),
});

interface Ratios {
  readonly rate: number[];
  readonly cpu: number[];
}

/** Both in turn, again and again. Returns how the contender compares with the base in each turn. */
async function race(
  base: Contender,
  contender: Contender,
  { turn, turns }: { turn: number; turns: number },
): Promise<Ratios> {
  const maxMessages = turn * WARM_UP_TURNS;
  await using baseLane = await openLane(base, maxMessages);
  await using lane = await openLane(contender, maxMessages);
  await baseLane.turn(maxMessages);
  await lane.turn(maxMessages);
  const rates: (readonly [Rate, Rate])[] = [];
  for (let index = 0; index < turns; index += 1) {
    rates.push([await baseLane.turn(turn), await lane.turn(turn)]);
  }
  console.log(await measureRow(base, baseLane, { rates: rates.map(([rate]) => rate) }));
  console.log(await measureRow(contender, lane, { rates: rates.map(([, rate]) => rate) }));
  return {
    rate: rates.map(([first, second]) => second.perSecond / first.perSecond),
    cpu: rates.map(([first, second]) => second.cpuMicros / first.cpuMicros),
  };
}

/** Its row, once its messages have come slowly too. */
async function measureRow(
  { who, shape }: Contender,
  lane: Lane,
  { rates }: { rates: readonly Rate[] },
): Promise<string> {
  const { p50Ms, p99Ms } = await lane.pace();
  const { residentBytes, peakBytes } = await readProcess(lane.pid);
  return [
    shape.qos.padEnd(13),
    `${shape.bytes} B`.padStart(8),
    who.padEnd(5),
    median(rates.map((rate) => rate.perSecond))
      .toFixed(0)
      .padStart(8),
    median(rates.map((rate) => rate.cpuMicros))
      .toFixed(1)
      .padStart(8),
    p50Ms.toFixed(2).padStart(7),
    p99Ms.toFixed(2).padStart(7),
    (residentBytes / 1e6).toFixed(0).padStart(7),
    (peakBytes / 1e6).toFixed(0).padStart(7),
  ].join(" ");
}

function quantile(figures: readonly number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length * share)] ?? Number.NaN;
}

function median(figures: readonly number[]): number {
  return quantile(figures, 0.5);
}

/** The median, and between what the middle half of the turns was. */
function describeRatios(ratios: readonly number[]): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2));
  return `${middle} (${low} to ${high} in half of ${ratios.length} turns)`;
}

async function compare(): Promise<void> {
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores\n`);
  console.log("QoS               size who        /s  CPU us   p50 ms  p99 ms  RSS MB peak MB");
  for (const bytes of SIZES) {
    for (const { qos, connections, turn, turns } of CASES.filter(
      (one) => one.qos === (values.qos ?? one.qos),
    )) {
      const shape: Shape = { qos, connections, bytes };
      const ratios = await race(bareLoopFor(shape), relayFor(shape), {
        turn: turn[bytes],
        turns: values.quick ? 3 : turns,
      });
      console.log(`${qos}, ${bytes} B, against the bare loop: rate ${describeRatios(ratios.rate)},`);
      console.log(`  CPU per message ${describeRatios(ratios.cpu)}\n`);
    }
  }
}

/** From exec to being ready: the median of ten starts. */
async function measureStart(): Promise<void> {
  await using nats = await startNatsServer();
  const times: number[] = [];
  for (let index = 0; index < 10; index += 1) {
    const startedAt = performance.now();
    await using relay = await startRelay({
      config: {
        nats: { servers: [nats.url] },
        endpoints: [{ name: "bench", type: "jetstream", consumer: { stream: "BENCH" } }],
        entrypoints: [{ type: "webhook" }],
        subscriptions: [
          { id: "bench", configuration: { entrypointId: "webhook", callbackUrl: "http://127.0.0.1:9/" } },
        ],
      },
    });
    await relay.logged("Connected to NATS");
    times.push(performance.now() - startedAt);
  }
  const megabytes = (Bun.file(BINARY).size / 1e6).toFixed(0);
  console.log(
    `\nConnected ${median(times).toFixed(0)} ms after its start (median of 10); binary ${megabytes} MB`,
  );
}

/** AUTO with the whole delivery log against AUTO with what is recorded anyway. */
async function compareLog(): Promise<void> {
  const shape: Shape = { qos: "AUTO", connections: 20, bytes: 256 };
  const everything: Shape = { ...shape, entrypoint: { sampling: { type: "ALL" } } };
  const ratios = await race(relayFor(shape), relayFor(everything, "log"), {
    turn: 15_000,
    turns: values.quick ? 3 : 15,
  });
  console.log(`AUTO with log ALL: ${describeRatios(ratios.rate)} of its rate without`);
}

async function soak(messages: number): Promise<void> {
  const contender = relayFor({ qos: "AUTO", connections: 20, bytes: 256 });
  await using lane = await openLane(contender, SOAK_TURN);
  const rates: Rate[] = [];
  for (let left = messages; left > 0; left -= SOAK_TURN)
    rates.push(await lane.turn(Math.min(left, SOAK_TURN)));
  console.log(await measureRow(contender, lane, { rates }));
  await Bun.sleep(REST_MS);
  const { residentBytes } = await readProcess(lane.pid);
  console.log(`${(residentBytes / 1e6).toFixed(0)} MB after ${REST_MS / 1000} s of rest`);
}

if (values.log) {
  await compareLog();
} else if (values.soak === undefined) {
  await compare();
  if (values.qos === undefined) await compareLog();
  await measureStart();
} else {
  await soak(Number(values.soak));
}
process.exit(0);
