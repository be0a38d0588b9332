// Whether replicated consumers still have a majority of their servers: a leader that has lost it goes on answering pulls for
// some 10 s and more, though no ack and no message is stored any more.

import { durableName, type Subscription } from "#delivery/subscription.ts";
import { startTicks } from "#lib/ticks.ts";

import { type ConsumerCluster, consumerCluster } from "#nats/answers.ts";
import { requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import type { ConsumerRef } from "./info.ts";
import type { StreamRef } from "#nats/stream.ts";

interface Reader {
  readonly subscription: Pick<Subscription, "id" | "source">;
  readonly state: () => { readonly kind: string };
}

interface MajorityWatch {
  /** For people; of the streams that were read last. */
  faults: () => readonly string[];
  /** Nothing is asked any more. */
  close: () => void;
}

/** A fault must be known within 5 s. */
const INTERVAL_MS = 1000;
const ANSWER_MS = 1000;
/** Servers of a group hear of each other each second. */
const SILENT_NANOS = 2_500_000_000;
/** Streams at once; of more each gets its turn. */
const BATCH = 20;

/** Asks one of the consumers of each stream, where the server is one of a cluster. */
export function watchMajority(
  connection: Connection,
  { subscriptions }: { readonly subscriptions: () => readonly Reader[] },
): MajorityWatch {
  let faults = new Map<string, string>();
  let isAsking = false;
  let turn = 0;

  async function ask(): Promise<void> {
    if (isAsking || !connection.isConnected) return;
    const isClustered = connection.client()?.info?.cluster !== undefined;
    const refs = firstOfEach(subscriptions(), ({ domain }) => isClustered || domain !== null);
    faults = new Map([...faults].filter(([key]) => refs.has(key)));
    const all = [...refs];
    const due = Array.from({ length: Math.min(BATCH, all.length) }, () => all[turn++ % all.length]);
    isAsking = true;
    await Promise.all(due.map(async (entry) => (entry === undefined ? undefined : look(...entry))));
    isAsking = false;
  }

  async function look(key: string, { domain, stream, durable }: ConsumerRef): Promise<void> {
    const call = `CONSUMER.INFO.${stream}.${durable}`;
    const answer = await requestApi(connection, {
      domain,
      call,
      schema: consumerCluster,
      timeoutMs: ANSWER_MS,
    });
    // Without an answer it has no leader, which its pulls tell.
    if (answer.kind !== "ok") return;
    const silent = missingOfMajority(answer.value.cluster);
    if (silent === null) faults.delete(key);
    else faults.set(key, `Stream ${stream} has no majority of its servers: ${silent.join(", ")} are silent`);
  }

  const endTicks = startTicks(INTERVAL_MS, () => void ask()); // Never rejects.
  return { faults: () => [...faults.values()], close: endTicks };
}

/** By stream, one that consumes just now. Makes nothing of those that are not wanted: there may be thousands. */
function firstOfEach(
  readers: readonly Reader[],
  isWanted: (stream: StreamRef) => boolean,
): ReadonlyMap<string, ConsumerRef> {
  const first = new Map<string, ConsumerRef>();
  for (const { subscription, state } of readers) {
    const { domain, stream } = subscription.source;
    if (!isWanted(subscription.source)) continue;
    const key = `${domain ?? ""} ${stream}`;
    if (first.has(key) || state().kind !== "consuming") continue;
    first.set(key, { domain, stream, durable: durableName(subscription.id) });
  }
  return first;
}

/** The names of the servers that are silent, where these are too many; null: the others are enough. */
function missingOfMajority(cluster: ConsumerCluster): readonly string[] | null {
  const replicas = cluster?.replicas ?? [];
  const silent = replicas.filter(({ active, offline }) => offline || active > SILENT_NANOS);
  return silent.length * 2 >= replicas.length + 1 ? silent.map(({ name }) => name) : null;
}
