// Order across kills and freezes: relays and nats-servers fail at random, from a seed, while numbered messages come over 20 subjects:
//
//   bun test/faults/order.ts [--seed 1] [--seconds 300] [--servers 1|3] [--relays 1|2] [--ordering strict|subject]
//     [--qos AT_LEAST_ONCE|AT_MOST_ONCE] [--nats 2.10.26|newest] [--only "relay frozen,server killed"] [--logs DIRECTORY]
//
// A table says what became of the messages; exit 1 if a promise was broken. `--logs` keeps what the relays logged, at debug level, and the faults with their times.

import { mkdir, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { eventually } from "../support/eventually.ts";
import { type Host, startHosts } from "../support/hosts.ts";
import { type NatsServer, startNatsCluster, startNatsServer } from "../support/nats-server.ts";
import { addBucket, type Book, createBook, startPublisher } from "../support/numbered-messages.ts";
import { type Acts, askJetStream, relayActs, runActs, serverActs } from "../support/random-faults.ts";

export interface OrderOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly servers: 1 | 3;
  readonly relays: 1 | 2;
  readonly ordering: "strict" | "subject";
  readonly qos: "AT_LEAST_ONCE" | "AT_MOST_ONCE";
  /** Names of faults; none: all of them. */
  readonly only?: readonly string[];
  /** Between two faults of a kind. */
  readonly pauseMs?: readonly [from: number, to: number];
  readonly logLevel?: "info" | "debug";
}

export interface OrderResult {
  readonly row: Readonly<Record<string, number | string>>;
  readonly faults: Readonly<Record<string, number>>;
  /** Broken promises, in words; none: all was kept. */
  readonly broken: readonly string[];
  readonly logs: ReadonlyMap<string, string>;
}

const STREAM = "WORK";
const BUCKET = "relay";
const SUBJECTS = 20;
const CONNECTIONS = 10;
const PER_SECOND = 300;
/** Every so many is refused once, in turn of all keys, and comes again a second later: in strict order all others wait for it. */
const REFUSED_EVERY = { strict: 1001, subject: 101 };
/** How long the callback works on a request, at most. */
const WORK_MS = { strict: 1, subject: 20 };
/** So long a time without a request is written down. */
const SILENCE_MS = 3000;
/** After the last fault, for all that waits. */
const SETTLE_MS = 90_000;
/** A crash loses at most so many for each connection under AT_MOST_ONCE. */
const LOST_PER_CRASH = 2;

export async function runOrder(options: OrderOptions): Promise<OrderResult> {
  await using stack = new AsyncDisposableStack();
  const servers = await startServers(stack, options.servers);
  const urls = servers.map(({ url }) => url);
  const client = await openStream(servers, options.servers);
  let current = "start";
  const timeline: string[] = [];
  const callback = stack.use(startCallback(options, { circumstances: () => current, timeline }));
  const hosts = await startHosts(stack, {
    count: options.relays,
    configOf: () => orderConfig(options, { urls, callbackUrl: callback.url }),
  });
  await Promise.any(hosts.map(({ relay }) => relay.logged("Consuming")));
  const startedAt = performance.now();
  const publisher = startPublisher(client, { subjectOf: subjectOf, perSecond: PER_SECOND });
  const faults = await runActs(linesOf(options, { hosts, servers, client }), {
    seed: options.seed,
    durationMs: options.seconds * 1000,
    onAct: (name) => {
      timeline.push(`${new Date().toISOString()} ${name}`);
      current = `${name}, ${Math.round((performance.now() - startedAt) / 100) / 10} s`;
    },
  });
  await publisher.stop();
  const settledMs = await settle(client, callback.book, publisher.count);
  const { row, broken } = judge(options, { callback, published: publisher.count, settledMs, faults });
  const state = broken.length > 0 ? await describeState(client, publisher.count) : [];
  return { row, faults, broken: [...broken, ...state], logs: toTexts(hosts, { timeline }) };
}

async function startServers(stack: AsyncDisposableStack, count: 1 | 3): Promise<readonly NatsServer[]> {
  if (count === 1) return [stack.use(await startNatsServer())];
  return stack.use(await startNatsCluster()).servers;
}

async function openStream(servers: readonly NatsServer[], replicas: number): Promise<NatsConnection> {
  const [first] = servers;
  if (first === undefined) throw new Error("There are no servers");
  const client = await first.connect({ servers: servers.map(({ url }) => url) });
  const { streams } = await jetstreamManager(client);
  await streams.add({ name: STREAM, subjects: ["work.*"], num_replicas: replicas });
  await addBucket(client, BUCKET, replicas);
  return client;
}

function keyOf(number: number): string {
  return String(number % SUBJECTS);
}

function subjectOf(number: number): string {
  return `work.${keyOf(number)}`;
}

function orderConfig(
  { ordering, qos, logLevel = "info" }: OrderOptions,
  { urls, callbackUrl }: { urls: readonly string[]; callbackUrl: string },
): Readonly<Record<string, unknown>> {
  const isByKey = ordering === "subject";
  return {
    nats: { servers: urls },
    logs: { level: logLevel },
    state: { bucket: BUCKET },
    endpoints: [{ name: "work", type: "jetstream", consumer: { stream: STREAM, ackWaitSeconds: 5 } }],
    entrypoints: [
      {
        type: "webhook",
        endpoint: "work",
        qos,
        configuration: {
          ...(isByKey
            ? { ordering: { key: "subject" }, http: { maxConcurrentConnections: CONNECTIONS } }
            : {}),
          interruptConsumptionOnServerError: false,
          interruptConsumptionOnException: false,
        },
      },
    ],
    subscriptions: [
      {
        id: "order",
        configuration: {
          entrypointId: "webhook",
          callbackUrl,
          deliverPolicy: "all",
          retry: {
            retryOption: "Retry On Fail",
            retryStrategy: "LINEAR",
            maxAttempts: 1000,
            maxDelaySeconds: 1,
          },
        },
      },
    ],
  };
}

interface Callback extends AsyncDisposable {
  readonly url: string;
  readonly book: Book;
  /** Requests that came while the message before, of the same key, had not been accepted. */
  readonly overtaken: readonly string[];
  /** Requests for a message that had one before. */
  readonly again: number;
}

function startCallback(
  { ordering, qos }: OrderOptions,
  { circumstances, timeline }: { circumstances: () => string; timeline: string[] },
): Callback {
  const book = createBook(circumstances);
  const overtaken: string[] = [];
  let again = 0;
  let lastAt = performance.now();
  const isByKey = ordering === "subject";
  const step = isByKey ? SUBJECTS : 1;

  async function receive(request: Request): Promise<number> {
    const number = Number(await request.text());
    const id = request.headers.get("webhook-id");
    const isFirst = book.note(number, { id, key: isByKey ? keyOf(number) : "" });
    if (!isFirst) again += 1;
    const silentMs = performance.now() - lastAt;
    lastAt = performance.now();
    if (silentMs > SILENCE_MS) timeline.push(`${new Date().toISOString()} after ${silentMs.toFixed(0)} ms`);
    const before = number - step;
    if (isFirst && qos === "AT_LEAST_ONCE" && before > 0 && !book.accepted.has(before)) {
      overtaken.push(`${number} came before ${before} was accepted (${circumstances()})`);
    }
    await Bun.sleep(Math.random() * WORK_MS[ordering]);
    if (isFirst && number % REFUSED_EVERY[ordering] === 0) return 500;
    book.accept(number);
    return 200;
  }

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) => new Response(null, { status: await receive(request) }),
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    book,
    overtaken,
    get again() {
      return again;
    },
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

function linesOf(
  { only = [], pauseMs = [2000, 5000] }: OrderOptions,
  {
    hosts,
    servers,
    client,
  }: { hosts: readonly Host[]; servers: readonly NatsServer[]; client: NatsConnection },
): readonly Acts[] {
  const stepDown = async (subject: string) => void (await askJetStream(client, subject));
  const ofCluster = {
    "consumer leader steps down": () => stepDown(`CONSUMER.LEADER.STEPDOWN.${STREAM}.relay-order`),
    "stream leader steps down": () => stepDown(`STREAM.LEADER.STEPDOWN.${STREAM}`),
  };
  const lines = [
    relayActs(hosts),
    { run: { ...serverActs(servers).run, ...(servers.length > 1 ? ofCluster : {}) } },
  ];
  const isWanted = (name: string) => only.length === 0 || only.includes(name);
  return lines
    .map(({ run }) => ({
      pauseMs,
      run: Object.fromEntries(Object.entries(run).filter(([name]) => isWanted(name))),
    }))
    .filter(({ run }) => Object.keys(run).length > 0);
}

/** When all of it was through, in ms after the last fault; null: not within the limit. */
async function settle(client: NatsConnection, book: Book, published: number): Promise<number | null> {
  const startedAt = performance.now();
  const isThrough = async (): Promise<boolean> => {
    const manager = await jetstreamManager(client);
    const info = await manager.consumers.info(STREAM, "relay-order");
    return info.num_pending === 0 && info.num_ack_pending === 0 && book.firsts.length > 0;
  };
  try {
    await eventually(isThrough, { withinMs: SETTLE_MS, what: `${published} messages are through` });
    return performance.now() - startedAt;
  } catch {
    return null;
  }
}

function judge(
  options: OrderOptions,
  found: {
    callback: Callback;
    published: number;
    settledMs: number | null;
    faults: Readonly<Record<string, number>>;
  },
): Pick<OrderResult, "row" | "broken"> {
  const { published, settledMs, faults } = found;
  const { book, overtaken, again } = found.callback;
  const { qos, ordering } = options;
  const isAtLeastOnce = qos === "AT_LEAST_ONCE";
  const came = isAtLeastOnce ? book.accepted : new Set(book.firsts);
  const lost = Array.from({ length: published }, (_, index) => index + 1).filter((n) => !came.has(n));
  const crashes = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const mayLose = isAtLeastOnce ? 0 : crashes * LOST_PER_CRASH * (ordering === "subject" ? CONNECTIONS : 1);
  const broken = [
    ...(settledMs === null ? [`Not through ${SETTLE_MS / 1000} s after the last fault`] : []),
    ...(lost.length > mayLose ? [`Lost ${lost.length}: ${lost.slice(0, 20).join(", ")}`] : []),
    ...(!isAtLeastOnce && again > 0 ? [`${again} requests for messages that had been sent before`] : []),
    ...(book.strangers > 0 ? [`${book.strangers} requests changed their webhook-id`] : []),
    ...book.inversions.slice(0, 20).map((inversion) => `Out of order: ${inversion}`),
    ...overtaken.slice(0, 20),
  ];
  const row = {
    ordering,
    qos,
    servers: options.servers,
    relays: options.relays,
    seed: options.seed,
    published,
    faults: crashes,
    lost: lost.length,
    inversions: book.inversions.length,
    overtaken: overtaken.length,
    duplicates: isAtLeastOnce ? book.repeats : again,
    "longest gap s": Math.round(book.longestGapMs / 100) / 10,
    "through after s": settledMs === null ? Number.NaN : Math.round(settledMs / 100) / 10,
  };
  return { row, broken };
}

/** What a person looks at first. */
async function describeState(client: NatsConnection, published: number): Promise<readonly string[]> {
  const manager = await jetstreamManager(client);
  const consumer = await manager.consumers.info(STREAM, "relay-order").catch(String);
  const { state } = await manager.streams.info(STREAM);
  return [
    `Stream: ${state.messages} messages of ${published}, up to ${state.last_seq}`,
    `Consumer: ${JSON.stringify(consumer)}`,
  ];
}

function toTexts(
  hosts: readonly Host[],
  { timeline }: { timeline: readonly string[] },
): ReadonlyMap<string, string> {
  const ofHosts = hosts.map(
    ({ name, logs }) => [name, logs.map((line) => JSON.stringify(line)).join("\n")] as const,
  );
  return new Map([...ofHosts, ["faults", timeline.join("\n")]]);
}

if (import.meta.main) {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: {
      seed: { ...text, default: "1" },
      seconds: { ...text, default: "300" },
      servers: { ...text, default: "1" },
      relays: { ...text, default: "2" },
      ordering: { ...text, default: "strict" },
      qos: { ...text, default: "AT_LEAST_ONCE" },
      nats: text,
      only: text,
      logs: text,
    },
  });
  if (values.nats !== undefined) process.env["NATS_SERVER"] = values.nats;
  const { row, faults, broken, logs } = await runOrder({
    seed: Number(values.seed),
    seconds: Number(values.seconds),
    servers: values.servers === "3" ? 3 : 1,
    relays: values.relays === "1" ? 1 : 2,
    ordering: values.ordering === "subject" ? "subject" : "strict",
    qos: values.qos === "AT_MOST_ONCE" ? "AT_MOST_ONCE" : "AT_LEAST_ONCE",
    only: values.only?.split(",") ?? [],
    logLevel: values.logs === undefined ? "info" : "debug",
  });
  if (values.logs !== undefined) {
    await mkdir(values.logs, { recursive: true });
    for (const [name, lines] of logs) await writeFile(`${values.logs}/${name}.log`, lines);
  }
  console.log(
    Object.entries(faults)
      .map(([name, count]) => `${name} ${count}`)
      .join(", "),
  );
  console.table([row]);
  for (const line of broken) console.log(line);
  process.exitCode = broken.length > 0 ? 1 : 0;
}
