// Random faults against two relays on three nats-servers with replicated streams, from a seed:
//
//   bun test/cluster/chaos.ts [--seed 1] [--seconds 600]
//
// Relays are killed and frozen, servers are killed, frozen, restarted in turn and made to give up their leadership, while an
// operator reloads, pauses and seeks. In the end a table says what became of the messages; exit 1 if a promise was broken.

import { parseArgs } from "node:util";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { eventually } from "../support/eventually.ts";
import { type Host, startHosts } from "../support/hosts.ts";
import { fetchNatsServer, startNatsCluster } from "../support/nats-server.ts";
import { type Publisher, startPublisher } from "../support/numbered-messages.ts";
import { chaosConfig, runFaults } from "./faults.ts";
import {
  addStreams,
  type Callback,
  isPoison,
  LETTERS,
  type Name,
  startCallback,
  STREAM,
  type Work,
  WORKS,
} from "./workload.ts";

export interface ChaosResult {
  readonly rows: readonly Row[];
  readonly faults: Readonly<Record<string, number>>;
  /** Broken promises, in words; none: all was kept. */
  readonly broken: readonly string[];
}

interface Row {
  readonly qos: string;
  readonly published: number;
  readonly lost: number;
  readonly inversions: number;
  readonly repeats: number;
  readonly letters: number;
  readonly "letters missing": number;
  readonly "longest gap s": number;
  readonly "through after s": number;
}

const HOSTS = 2;
/** After the last fault, for all that waits. */
const SETTLE_MS = 60_000;

export async function runChaos({ seed, seconds }: { seed: number; seconds: number }): Promise<ChaosResult> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(await startNatsCluster({ binary: fetchNatsServer() }));
  const [first] = cluster.servers;
  if (first === undefined) throw new Error("The cluster has no servers");
  const client = await first.connect({ servers: [...cluster.urls] });
  await addStreams(client);
  let current = "start";
  const callback = stack.use(startCallback(() => current));
  const hosts = await startHosts(stack, {
    count: HOSTS,
    configOf: (version) => chaosConfig({ servers: cluster.urls, callbackUrl: callback.url, version }),
  });
  await Promise.all(hosts.map(({ relay }) => relay.logged("Consuming")));
  const publishers = new Map(
    WORKS.map(({ name, perSecond }) => [
      name,
      startPublisher(client, { subjectOf: () => `work.${name}`, perSecond }),
    ]),
  );
  const faults = await runFaults({
    seed,
    durationMs: seconds * 1000,
    hosts,
    cluster,
    client,
    onAct: (name) => {
      current = name;
    },
  });
  await Promise.all([...publishers.values()].map((publisher) => publisher.stop()));
  const settled = await settle(client, { callback, publishers });
  const letters = await readLetters(await jetstreamManager(client));
  const results = WORKS.map((work) => judge(work, { callback, publishers, settled, letters }));
  const broken = results.flatMap((result) => result.broken);
  if (broken.length > 0) broken.push(...(await describeState(client, hosts)));
  return { rows: results.map(({ row }) => row), faults, broken };
}

/** When all of it was through, in ms after the last fault; absent: not within the limit. */
async function settle(
  client: NatsConnection,
  { callback, publishers }: { callback: Callback; publishers: ReadonlyMap<Name, Publisher> },
): Promise<ReadonlyMap<Name, number>> {
  const startedAt = performance.now();
  const settled = new Map<Name, number>();
  const isThrough = async (name: Name): Promise<boolean> => {
    const manager = await jetstreamManager(client);
    const info = await manager.consumers.info(STREAM, `relay-${name}`);
    const count = publishers.get(name)?.count ?? 0;
    const isSeen = name === "amo" || callback.of(name).firsts.length >= count;
    return isSeen && info.num_pending === 0 && info.num_ack_pending === 0;
  };
  await Promise.all(
    WORKS.map(async ({ name }) => {
      const through = eventually(() => isThrough(name), { withinMs: SETTLE_MS, what: `${name} is through` });
      await through.then(
        () => settled.set(name, performance.now() - startedAt),
        () => undefined,
      );
    }),
  );
  return settled;
}

interface FoundLetters {
  readonly numbers: readonly number[];
  readonly stored: number;
}

/** By the number in the letter; `stored` counts also those that took the place of another. */
async function readLetters(manager: JetStreamManager): Promise<ReadonlyMap<Name, FoundLetters>> {
  const { state } = await manager.streams.info(LETTERS);
  const found = new Map<Name, number[]>(WORKS.map(({ name }) => [name, []]));
  const stored = new Map<Name, number>();
  for (let sequence = state.first_seq; sequence <= state.last_seq; sequence += 1) {
    const message = await manager.streams.getMessage(LETTERS, { seq: sequence }).catch(() => null);
    const name = message?.subject.split(".")[1] as Name | undefined;
    if (message === null || name === undefined) continue;
    found.get(name)?.push(Number(message.string()));
    stored.set(name, (stored.get(name) ?? 0) + 1);
  }
  return new Map([...found].map(([name, numbers]) => [name, { numbers, stored: stored.get(name) ?? 0 }]));
}

function judge(
  { name, qos }: Work,
  found: {
    callback: Callback;
    publishers: ReadonlyMap<Name, Publisher>;
    settled: ReadonlyMap<Name, number>;
    letters: ReadonlyMap<Name, FoundLetters>;
  },
): { row: Row; broken: string[] } {
  const receipts = found.callback.of(name);
  const published = found.publishers.get(name)?.count ?? 0;
  const settledMs = found.settled.get(name) ?? null;
  const letters = found.letters.get(name)?.numbers ?? [];
  const all = Array.from({ length: published }, (_, index) => index + 1);
  const lettered = new Set(letters);
  const lost = all.filter((n) => !receipts.accepted.has(n) && !lettered.has(n));
  const missing = all.filter((n) => isPoison(n) && !lettered.has(n));
  const both = letters.filter((n) => receipts.accepted.has(n));
  const isKept = qos !== "AT_MOST_ONCE";
  const broken = [
    ...(settledMs === null ? [`${name}: not through ${SETTLE_MS / 1000} s after the last fault`] : []),
    ...(isKept && lost.length > 0 ? [`${name}: lost ${lost.slice(0, 20).join(", ")}`] : []),
    ...(isKept && missing.length > 0 ? [`${name}: no letter of ${missing.slice(0, 20).join(", ")}`] : []),
    ...(letters.length > lettered.size ? [`${name}: a letter is there twice`] : []),
    ...(isKept && both.length > 0
      ? [`${name}: delivered and a letter: ${both.slice(0, 20).join(", ")}`]
      : []),
    ...(receipts.strangers > 0 ? [`${name}: ${receipts.strangers} requests changed their webhook-id`] : []),
    ...(qos === "AT_LEAST_ONCE" && receipts.inversions.length > 0
      ? [`${name}: out of order: ${receipts.inversions.slice(0, 5).join("; ")}`]
      : []),
  ];
  const row: Row = {
    qos,
    published,
    lost: lost.length,
    inversions: qos === "AUTO" ? 0 : receipts.inversions.length,
    repeats: receipts.repeats,
    letters: letters.length,
    "letters missing": missing.length,
    "longest gap s": Math.round(receipts.longestGapMs / 100) / 10,
    "through after s": settledMs === null ? Number.NaN : Math.round(settledMs / 100) / 10,
  };
  return { row, broken };
}

/** What a person looks at first. */
async function describeState(client: NatsConnection, hosts: readonly Host[]): Promise<readonly string[]> {
  const manager = await jetstreamManager(client);
  const consumers = WORKS.map(async ({ name }) => {
    const info = await manager.consumers
      .info(STREAM, `relay-${name}`)
      .catch((error: unknown) => String(error));
    return `consumer ${name}: ${JSON.stringify(info)}`;
  });
  const relays = hosts.map(
    ({ name, relay }) =>
      `${name}: ${relay.logs
        .slice(-15)
        .map((line) => JSON.stringify(line))
        .join("\n  ")}`,
  );
  return [...(await Promise.all(consumers)), ...relays];
}

function print({ rows, faults, broken }: ChaosResult): void {
  console.log(
    Object.entries(faults)
      .map(([name, count]) => `${name} ${count}`)
      .join(", "),
  );
  console.table(rows);
  for (const line of broken) console.log(line);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { seed: { type: "string", default: "1" }, seconds: { type: "string", default: "600" } },
  });
  const result = await runChaos({ seed: Number(values.seed), seconds: Number(values.seconds) });
  print(result);
  process.exitCode = result.broken.length > 0 ? 1 : 0;
}
