// A lane of the benchmark: one that delivers, Relay or the bare loop, with a nats-server and a receiver of its own.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { startNatsServer } from "../support/nats-server.ts";
import { startRelay } from "../support/relay.ts";
import { startSlowLink } from "../support/slow-link.ts";
import { readProcess } from "./process.ts";

export type Qos = "NONE" | "AUTO" | "AT_MOST_ONCE" | "AT_LEAST_ONCE";

interface Subject extends AsyncDisposable {
  readonly pid: number;
}

export interface Shape {
  readonly qos: Qos;
  readonly connections: number;
  readonly bytes: number;
  /** The messages are spread over so many; default: 1. */
  readonly subjects?: number;
  /** How long the callback works on a message. */
  readonly callbackMs?: number;
  /** Of the way to nats-server and back. */
  readonly roundTripMs?: number;
  /** More of the entrypoint's `configuration`. */
  readonly entrypoint?: Readonly<Record<string, unknown>>;
}

export interface Rate {
  readonly perSecond: number;
  readonly cpuMicros: number;
}

interface Receipts {
  readonly firstAt: number;
  readonly lastAt: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const PACED_PER_SECOND = 200;

async function startReceiver(callbackMs: number): Promise<{ url: string } & AsyncDisposable> {
  const script = new URL("receiver.ts", import.meta.url).pathname;
  const child = Bun.spawn(["bun", script, String(callbackMs)], { stdout: "pipe", stderr: "inherit" });
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

function startBareLoop(natsUrl: string, receiverUrl: string, { qos, connections }: Shape): Subject {
  const script = new URL("bare-loop.ts", import.meta.url).pathname;
  const acks = qos === "NONE" ? "no-acks" : "acks";
  const child = Bun.spawn(["bun", script, natsUrl, receiverUrl, acks, String(connections)], {
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
  natsUrl: string,
  receiverUrl: string,
  { qos, connections, entrypoint = {} }: Shape,
): Promise<Subject> {
  return startRelay({
    config: {
      nats: { servers: [natsUrl] },
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

async function publishAll(
  client: NatsConnection,
  messages: number,
  { bytes, subjects = 1 }: Shape,
): Promise<void> {
  const js = jetstream(client);
  const batch = 500;
  for (let sent = 0; sent < messages; sent += batch) {
    const size = Math.min(batch, messages - sent);
    await Promise.all(
      Array.from({ length: size }, (_, index) => js.publish(`bench.${index % subjects}`, bodyOf(bytes))),
    );
  }
}

async function publishPaced(client: NatsConnection, messages: number, { bytes }: Shape): Promise<void> {
  const js = jetstream(client);
  const startedAt = performance.now();
  for (let sent = 0; sent < messages; sent += 1) {
    const dueMs = startedAt + (sent * 1000) / PACED_PER_SECOND - performance.now();
    if (dueMs > 1) await Bun.sleep(dueMs);
    void js.publish("bench.0", bodyOf(bytes));
  }
}

/** One that delivers, with a nats-server and a receiver of its own. */
export interface Lane extends AsyncDisposable {
  /** Fills the stream while the subject is stopped, then lets it deliver: nothing else is at work meanwhile. */
  readonly turn: (messages: number) => Promise<Rate>;
  /** Messages that come slowly, for the time from publish to receipt. */
  readonly pace: (seconds: number) => Promise<Receipts>;
  readonly pid: number;
}

export interface Contender {
  readonly who: string;
  readonly shape: Shape;
  readonly start: (natsUrl: string, url: string) => Subject | Promise<Subject>;
}

/** `maxMessages`: older ones leave the stream, so that the disk holds it. */
export async function openLane({ shape, start }: Contender, maxMessages: number): Promise<Lane> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const { callbackMs = 0, roundTripMs = 0 } = shape;
  const receiver = stack.use(await startReceiver(callbackMs));
  const far = roundTripMs === 0 ? nats : stack.use(await startSlowLink(nats.port, roundTripMs));
  const client = stack.adopt(await connect({ servers: nats.url }), (opened) => opened.close());
  const manager = await jetstreamManager(client);
  await manager.streams.add({ name: "BENCH", subjects: ["bench.*"], max_msgs: maxMessages });
  const { pid } = stack.use(await start(far.url, receiver.url));
  const owned = stack.move();

  async function receive(messages: number): Promise<Receipts> {
    return (await (await fetch(`${receiver.url}${messages}`)).json()) as Receipts;
  }

  return {
    pid,
    async turn(messages) {
      process.kill(pid, "SIGSTOP");
      await publishAll(client, messages, shape);
      const before = await readProcess(pid);
      process.kill(pid, "SIGCONT");
      const { firstAt, lastAt } = await receive(messages);
      const { cpuMicros } = await readProcess(pid);
      return {
        perSecond: (messages - 1) / ((lastAt - firstAt) / 1000),
        cpuMicros: (cpuMicros - before.cpuMicros) / messages,
      };
    },
    async pace(seconds) {
      const messages = PACED_PER_SECOND * seconds;
      const [receipts] = await Promise.all([receive(messages), publishPaced(client, messages, shape)]);
      return receipts;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const relayFor = (shape: Shape, who = "relay"): Contender => ({
  who,
  shape,
  start: (natsUrl, url) => startRelayFor(natsUrl, url, shape),
});
export const bareLoopFor = (shape: Shape): Contender => ({
  who: "bare",
  shape,
  start: (natsUrl, url) => startBareLoop(natsUrl, url, shape),
});

export function quantile(figures: readonly number[], share: number): number {
  return figures.toSorted((a, b) => a - b)[Math.floor(figures.length * share)] ?? Number.NaN;
}

export function median(figures: readonly number[]): number {
  return quantile(figures, 0.5);
}

/** The median, and between what the middle half of the turns was. */
export function describeRatios(ratios: readonly number[]): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(ratios, share).toFixed(2));
  return `${middle} (${low} to ${high} in half of ${ratios.length} turns)`;
}
