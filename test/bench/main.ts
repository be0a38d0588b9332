// `npm run bench`: Relay against a bare loop, in one run, as ratios: the machine's noise hits both.
//
// `--quick`: a tenth of the messages. `--qos AUTO`: only that. `--log`: AUTO with and without a record of each message. `--soak N`: N messages under AUTO, for the memory.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { BINARY, startRelay } from "../support/relay.ts";
import { readProcess } from "./process.ts";

type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";

interface Figures {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly residentMb: number;
  readonly peakMb: number;
}

interface Subject extends AsyncDisposable {
  readonly pid: number;
}

interface Case {
  readonly qos: Qos;
  readonly connections: number;
  readonly messages: number;
  readonly bytes: number;
  /** More of the entrypoint's `configuration`. */
  readonly entrypoint?: Readonly<Record<string, unknown>>;
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    log: { type: "boolean", default: false },
    qos: { type: "string" },
    soak: { type: "string" },
  },
});
const SHARE = values.quick ? 0.1 : 1;
const PACED_PER_SECOND = 500;
const PACED_SECONDS = values.quick ? 2 : 6;
/** Of the messages of a run, first: while the compilers of both are at it, nothing is measured. */
const WARM_UP_SHARE = 1 / 3;
const SHAPES = [
  { qos: "NONE", connections: 20, messages: { 256: 60_000, 16_384: 30_000 }, rounds: 1 },
  { qos: "AUTO", connections: 20, messages: { 256: 300_000, 16_384: 75_000 }, rounds: 3 },
  { qos: "AT_LEAST_ONCE", connections: 1, messages: { 256: 60_000, 16_384: 60_000 }, rounds: 5 },
  { qos: "AT_MOST_ONCE", connections: 1, messages: { 256: 5000, 16_384: 2500 }, rounds: 1 },
] as const;
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

function startBareLoop(nats: NatsServer, receiverUrl: string, { qos, connections }: Case): Subject {
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
  { qos, connections, entrypoint = {} }: Case,
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

async function publishAll(client: NatsConnection, { messages, bytes }: Case): Promise<void> {
  const js = jetstream(client);
  const batch = 500;
  for (let sent = 0; sent < messages; sent += batch) {
    const size = Math.min(batch, messages - sent);
    await Promise.all(Array.from({ length: size }, () => js.publish("bench", bodyOf(bytes))));
  }
}

async function publishPaced(client: NatsConnection, bytes: number): Promise<number> {
  const js = jetstream(client);
  const total = PACED_PER_SECOND * PACED_SECONDS;
  const startedAt = performance.now();
  for (let sent = 0; sent < total; sent += 1) {
    const dueMs = startedAt + (sent * 1000) / PACED_PER_SECOND - performance.now();
    if (dueMs > 1) await Bun.sleep(dueMs);
    void js.publish("bench", bodyOf(bytes));
  }
  return total;
}

interface Receipts {
  readonly count: number;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function received(url: string, count: number): Promise<Receipts> {
  return eventually(
    async () => {
      const receipts = (await (await fetch(url)).json()) as Receipts;
      return receipts.count >= count && receipts;
    },
    { withinMs: 600_000, what: `${count} messages received` },
  );
}

/** From now on the receiver counts anew. Returns how many came before. */
async function countAnew(url: string): Promise<number> {
  const { count } = (await (await fetch(url, { method: "DELETE" })).json()) as Pick<Receipts, "count">;
  return count;
}

/** First a full stream as fast as it goes, then a slow one for the time on the way. */
async function measure(
  run: Case,
  start: (nats: NatsServer, url: string) => Subject | Promise<Subject>,
): Promise<Figures> {
  await using nats = await startNatsServer();
  await using receiver = await startReceiver();
  const client = await connect({ servers: nats.url });
  const manager = await jetstreamManager(client);
  await manager.streams.add({ name: "BENCH", subjects: ["bench"] });
  await publishAll(client, run);
  await using subject = await start(nats, receiver.url);
  await received(receiver.url, run.messages * WARM_UP_SHARE);
  const before = await readProcess(subject.pid);
  const messages = run.messages - (await countAnew(receiver.url));
  const full = await received(receiver.url, messages);
  const { cpuMicros } = await readProcess(subject.pid);
  await countAnew(receiver.url);
  const paced = await publishPaced(client, run.bytes);
  const slow = await received(receiver.url, paced);
  const { residentBytes, peakBytes } = await readProcess(subject.pid);
  await client.close();
  return {
    perSecond: (messages - 1) / ((full.lastAt - full.firstAt) / 1000),
    cpuMicros: (cpuMicros - before.cpuMicros) / messages,
    p50Ms: slow.p50Ms,
    p99Ms: slow.p99Ms,
    residentMb: residentBytes / 1e6,
    peakMb: peakBytes / 1e6,
  };
}

function toRow(run: Case, who: string, figures: Figures): string {
  return [
    run.qos.padEnd(13),
    `${run.bytes} B`.padStart(8),
    who.padEnd(5),
    String(Math.round(figures.perSecond)).padStart(8),
    figures.cpuMicros.toFixed(1).padStart(8),
    figures.p50Ms.toFixed(2).padStart(7),
    figures.p99Ms.toFixed(2).padStart(7),
    figures.residentMb.toFixed(0).padStart(7),
    figures.peakMb.toFixed(0).padStart(7),
  ].join(" ");
}

interface Contender {
  readonly who: string;
  readonly run: Case;
  readonly start: (nats: NatsServer, url: string) => Subject | Promise<Subject>;
}

const relayFor = (run: Case, who = "relay"): Contender => ({
  who,
  run,
  start: (nats, url) => startRelayFor(nats, url, run),
});
const bareLoopFor = (run: Case): Contender => ({
  who: "bare",
  run,
  start: (nats, url) => startBareLoop(nats, url, run),
});

/** Both in turn, again and again: what the machine does meanwhile hits both. Returns the median of the ratios of their rates. */
async function race(limit: Contender, contender: Contender, rounds: number): Promise<number> {
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const base = await rateOf(limit);
    ratios.push((await rateOf(contender)) / base);
  }
  return median(ratios);
}

async function rateOf({ who, run, start }: Contender): Promise<number> {
  const figures = await measure(run, start);
  console.log(toRow(run, who, figures));
  return figures.perSecond;
}

function median(figures: readonly number[]): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length / 2)] ?? NaN;
}

async function compare(): Promise<void> {
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores\n`);
  console.log("QoS               size who        /s  CPU us   p50 ms  p99 ms  RSS MB peak MB");
  for (const bytes of SIZES) {
    for (const { rounds, ...shape } of SHAPES.filter(({ qos }) => qos === (values.qos ?? qos))) {
      const run: Case = { ...shape, bytes, messages: Math.round(shape.messages[bytes] * SHARE) };
      const ratio = await race(bareLoopFor(run), relayFor(run), rounds);
      console.log(`${shape.qos}, ${bytes} B: ${ratio.toFixed(2)} of the bare loop\n`);
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
  const run: Case = { qos: "AUTO", connections: 20, messages: Math.round(100_000 * SHARE), bytes: 256 };
  const everything: Case = { ...run, entrypoint: { sampling: { type: "ALL" } } };
  const ratio = await race(relayFor(run), relayFor(everything, "log"), 3);
  console.log(`AUTO with log ALL: ${ratio.toFixed(2)} of its rate without`);
}

async function soak(messages: number): Promise<void> {
  await rateOf(relayFor({ qos: "AUTO", connections: 20, messages, bytes: 256 }));
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
