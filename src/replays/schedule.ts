// Scheduled replays: one per interval for each subscription whose entrypoint has `replay.strategy: SCHEDULED`.

import { isEnded, newReplay, NO_FILTER, REPLAY_ALL, type ReplayRecord } from "#delivery/replay.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { RunningSubscription } from "#runtime/running.ts";

interface Schedule {
  /** Subscriptions that are due. Pass the same list for the same settings. */
  due: (subscriptions: readonly RunningSubscription[]) => readonly ReplayRecord[];
  /** Starts the next interval, whether there was anything to replay or not. */
  lookedAt: (recordId: string) => void;
}

const PREFIX = "scheduled-";

export function createSchedule(find: (id: string) => ReplayRecord | null): Schedule {
  /** The first interval begins at the start of this relay. */
  const looked = new Map<string, number>();
  /** Cached, since it is read each second, and most relays have no scheduled replay. */
  let known: readonly RunningSubscription[] = [];
  let scheduled: readonly RunningSubscription[] = [];

  function scheduledOf(subscriptions: readonly RunningSubscription[]): readonly RunningSubscription[] {
    if (subscriptions === known) return scheduled;
    known = subscriptions;
    scheduled = subscriptions.filter(({ subscription }) => subscription.replay.kind !== "manual");
    return scheduled;
  }

  function isDue({ subscription, status }: RunningSubscription): boolean {
    const { id, replay } = subscription;
    if (replay.kind === "manual") return false;
    const recordId = PREFIX + id;
    const lastLook = looked.get(recordId) ?? performance.now();
    looked.set(recordId, lastLook);
    const record = find(recordId);
    if (record !== null && !isEnded(record)) return false;
    // Ignore a replay that began in the future: a clock was set back since.
    const sinceStartMs = record === null ? Infinity : Date.now() - Date.parse(record.startedAt);
    const isRecent = sinceStartMs >= 0 && sinceStartMs < replay.intervalMs;
    const isTime = performance.now() - lastLook >= replay.intervalMs && !isRecent;
    const current = status();
    return isTime && current.status === "ACCEPTED" && current.consumerStatus === "STARTED";
  }

  return {
    due: (subscriptions) =>
      scheduledOf(subscriptions)
        .filter(isDue)
        .flatMap(({ subscription }) => toRecord(subscription) ?? []),
    lookedAt: (recordId) => void looked.set(recordId, performance.now()),
  };
}

function toRecord({ id, replay }: Subscription): ReplayRecord | null {
  if (replay.kind === "manual") return null;
  const request = { ...REPLAY_ALL, filter: { ...NO_FILTER, subscription: [id] } };
  return newReplay(PREFIX + id, request, { maxReplays: replay.maxReplays, now: new Date() });
}
