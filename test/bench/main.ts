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
const SHAPES = [
  { qos: "NONE", connections: 20, messages: 60_000 },
  { qos: "AUTO", connections: 20, messages: 150_000 },
  { qos: "AT_LEAST_ONCE", connections: 1, messages: 60_000 },
  { qos: "AT_MOST_ONCE", connections: 1, messages: 5000 },
] as const;
const SIZES = [256, 16_384];

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
  const full = await received(receiver.url, run.messages);
  const { cpuMicros } = await readProcess(subject.pid);
  await fetch(receiver.url, { method: "DELETE" });
  const paced = await publishPaced(client, run.bytes);
  const slow = await received(receiver.url, paced);
  const { residentBytes, peakBytes } = await readProcess(subject.pid);
  await client.close();
  return {
    perSecond: (run.messages - 1) / ((full.lastAt - full.firstAt) / 1000),
    cpuMicros: cpuMicros / run.messages,
    p50Ms: slow.p50Ms,
    p99Ms: slow.p99Ms,
    residentMb: residentBytes / 1e6,
    peakMb: peakBytes / 1e6,
  };
}

function toRow(run: Case, who: string, figures: Figures, ratio: string): string {
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
    ratio.padStart(7),
  ].join(" ");
}

async function compare(): Promise<void> {
  console.log(`${cpus()[0]?.model ?? "?"}, ${cpus().length} cores\n`);
  console.log("QoS               size who        /s  CPU us   p50 ms  p99 ms  RSS MB peak MB   ratio");
  for (const bytes of SIZES) {
    for (const shape of SHAPES.filter(({ qos }) => qos === (values.qos ?? qos))) {
      const messages = Math.round(shape.messages * SHARE * (bytes > 1000 ? 0.5 : 1));
      const run: Case = { ...shape, bytes, messages };
      const bare = await measure(run, (nats, url) => startBareLoop(nats, url, run));
      console.log(toRow(run, "bare", bare, ""));
      const relay = await measure(run, (nats, url) => startRelayFor(nats, url, run));
      console.log(toRow(run, "relay", relay, (relay.perSecond / bare.perSecond).toFixed(2)));
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
  times.sort((a, b) => a - b);
  const megabytes = (Bun.file(BINARY).size / 1e6).toFixed(0);
  console.log(
    `\nConnected ${times[5]?.toFixed(0)} ms after its start (median of 10); binary ${megabytes} MB`,
  );
}

/** AUTO with the whole delivery log against AUTO with what is recorded anyway, in turn: the median of three ratios. */
async function compareLog(): Promise<void> {
  const run: Case = { qos: "AUTO", connections: 20, messages: Math.round(100_000 * SHARE), bytes: 256 };
  const everything: Case = { ...run, entrypoint: { sampling: { type: "ALL" } } };
  const rates: Record<"without" | "with", number[]> = { without: [], with: [] };
  for (let round = 0; round < 3; round += 1) {
    for (const [name, own] of [
      ["without", run],
      ["with", everything],
    ] as const) {
      const figures = await measure(own, (nats, url) => startRelayFor(nats, url, own));
      rates[name].push(figures.perSecond);
      console.log(toRow(run, name === "with" ? "log" : "relay", figures, ""));
    }
  }
  const ratios = rates.with.map((rate, round) => rate / (rates.without[round] ?? NaN));
  const [, median = NaN] = ratios.toSorted((a, b) => a - b);
  console.log(`AUTO with log ALL: ${median.toFixed(2)} of its rate without`);
}

async function soak(messages: number): Promise<void> {
  const run: Case = { qos: "AUTO", connections: 20, messages, bytes: 256 };
  console.log(toRow(run, "relay", await measure(run, (nats, url) => startRelayFor(nats, url, run)), ""));
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
