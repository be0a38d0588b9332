// Checks that replicated streams have a majority of their servers. A leader without one answers pulls for 10 s and more, though
// it stores no ack and no message.

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
  /** One reason per stream without a majority, for people. */
  faults: () => readonly string[];
  /** Stops checking. */
  close: () => void;
}

/** Readiness must report a fault within 5 s. */
const INTERVAL_MS = 1000;
const ANSWER_MS = 1000;
/** Servers of a Raft group exchange heartbeats each second. */
const SILENT_NANOS = 2_500_000_000;
/** Streams checked per tick, in turn. */
const BATCH = 20;

/** In a cluster: reads one consumer of each stream. */
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
    // No answer means no leader, which the pump reports.
    if (answer.kind !== "ok") return;
    const silent = missingOfMajority(answer.value.cluster);
    if (silent === null) faults.delete(key);
    else faults.set(key, `Stream ${stream} has no majority of its servers: ${silent.join(", ")} are silent`);
  }

  const endTicks = startTicks(INTERVAL_MS, () => void ask()); // Never rejects.
  return { faults: () => [...faults.values()], close: endTicks };
}

/** One consuming subscription per stream. Allocates nothing for unwanted ones: there may be thousands. */
function firstOfEach(
  readers: readonly Reader[],
  isWanted: (stream: StreamRef) => boolean,
): ReadonlyMap<string, ConsumerRef> {
  const first = new Map<string, ConsumerRef>();
  for (const { subscription, state } of readers) {
    const { domain, stream } = subscription.source;
    if (!isWanted(subscription.source)) continue;
    const key = `${domain ?? ""} ${stream}`;
    if (first.has(key) || state().kind !== "running") continue;
    first.set(key, { domain, stream, durable: durableName(subscription.id) });
  }
  return first;
}

/** The silent servers, if the others are no majority; null: they are. */
function missingOfMajority(cluster: ConsumerCluster): readonly string[] | null {
  const replicas = cluster?.replicas ?? [];
  const silent = replicas.filter(({ active, offline }) => offline || active > SILENT_NANOS);
  return silent.length * 2 >= replicas.length + 1 ? silent.map(({ name }) => name) : null;
}
