// Consumer lag, server-side pauses, and orphaned consumers: lists the consumers of each stream every 15 s.

import { durableName, type Subscription } from "#delivery/subscription.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";

import type { ConsumerInfo } from "#nats/answers.ts";
import type { Connection } from "#nats/connection.ts";
import { type ConsumerReading, type ConsumerRef, listConsumers, toReading } from "./info.ts";
import { isPlaceholder } from "./placeholder.ts";
import type { StreamRef } from "#nats/stream.ts";

export interface ConsumerLag {
  /** Not delivered yet. */
  readonly pending: number;
  /** Delivered, not acknowledged yet. */
  readonly ackPending: number;
  /** Those of `ackPending` that were delivered more than once. */
  readonly redelivered: number;
  /** How much `pending` grew within the last 5 minutes, in which it was never 0; null: it was, or not known yet. */
  readonly growth: number | null;
}

/** Of `pending`. */
interface Sample {
  readonly at: number;
  readonly pending: number;
}

/** A pause of the consumer on the server (`nats consumer pause`): it delivers nothing. */
interface ServerPause {
  /** By the server's clock. */
  readonly until: Date;
  /** By `performance.now`. */
  readonly endsAt: number;
}

/** A durable consumer of a subscription that this relay does not have, and that nobody pulls from. */
interface Orphan extends StreamRef {
  readonly consumer: string;
  readonly lag: ConsumerLag;
}

type Reader = Pick<Subscription, "id" | "source">;

export interface Lag {
  /** null: unknown, or too old. */
  of: (subscription: Reader) => ConsumerLag | null;
  /** End of a pause of its consumer on the server (`nats consumer pause`); null: none is known. */
  pausedUntil: (subscription: Reader) => Date | null;
  /** In the streams that subscriptions of this relay read. */
  orphans: () => readonly Orphan[];
  /** Calls `take` with this consumer's entry of each list; it must not throw. Returns the unsubscribe. */
  follow: (consumer: ConsumerRef, take: (reading: ConsumerReading) => void) => () => void;
  /** Stops listing. */
  close: () => void;
}

export interface LagPace {
  /** Delay after the first connect, while consumers are created. */
  readonly firstMs: number;
  readonly intervalMs: number;
  /** Older readings are ignored. */
  readonly maxAgeMs: number;
}

export const LAG_PACE: LagPace = { firstMs: 2000, intervalMs: 15_000, maxAgeMs: 60_000 };

interface Reading {
  readonly stream: StreamRef;
  readonly at: number;
  /** Consumers of subscriptions, by consumer name. */
  readonly consumers: ReadonlyMap<string, ConsumerLag>;
  /** About one a minute, oldest first, by consumer name. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Consumers that any relay pulls from. */
  readonly pulled: ReadonlySet<string>;
  /** Pauses on the server, by consumer name. */
  readonly paused: ReadonlyMap<string, ServerPause>;
}

/** The last delivery of a consumer, and when this relay first saw it. */
interface Delivery {
  readonly at: string;
  readonly seenAt: number;
}

/** Streams listed at once. */
const BATCH = 8;
const MAX_ORPHANS = 1000;
const MAX_DELIVERIES = 20_000;
const NANOS_PER_MS = 1_000_000;
const SAMPLE_MS = 60_000;
const GROWTH_MS = 300_000;
/** A relay with slow callbacks does not pull while its capacity is used up: allow this long. */
const HELD_MS = 3_600_000;
const PREFIX = durableName("");

/** Pauses while NATS is not connected. Never fails: a stream that cannot be listed has no reading. */
export function watchLag(
  connection: Connection,
  options: {
    readonly subscriptions: () => readonly Reader[];
    readonly logger: Logger;
    readonly pace?: LagPace;
  },
): Lag {
  const { subscriptions, logger, pace = LAG_PACE } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const readings = new Map<string, Reading>();
  const faults = new Map<string, string>();
  const deliveries = new Map<string, Delivery>();
  const followers = new Map<string, (reading: ConsumerReading) => void>();
  /** Streams whose consumers this account may not list: tried again after the next connect. */
  const forbidden = new Set<string>();
  const forget = connection.onReconnect(() => forbidden.clear());

  async function run(): Promise<void> {
    await connection.ready(signal);
    await sleep(pace.firstMs, signal);
    while (!signal.aborted) {
      if (await connection.ready(signal)) await readAll();
      await sleep(pace.intervalMs, signal);
    }
  }

  async function readAll(): Promise<void> {
    const streams = new Map(subscriptions().map(({ source }) => [keyOf(source), source] as const));
    for (const known of [readings, faults, forbidden]) {
      for (const key of known.keys()) if (!streams.has(key)) known.delete(key);
    }
    const wanted = [...streams.values()].filter((stream) => !forbidden.has(keyOf(stream)));
    for (let start = 0; start < wanted.length && !signal.aborted; start += BATCH) {
      await Promise.all(wanted.slice(start, start + BATCH).map(read));
    }
  }

  async function read({ domain, stream }: StreamRef): Promise<void> {
    const key = keyOf({ domain, stream });
    try {
      const found = await listConsumers(connection, { domain, stream });
      const own = found.filter(({ name }) => name.startsWith(PREFIX) && !isPlaceholder(name));
      const at = performance.now();
      const before = readings.get(key)?.samples;
      const samples = new Map(own.map((info) => [info.name, addSample(before?.get(info.name), info, at)]));
      readings.set(key, {
        stream: { domain, stream },
        at,
        consumers: new Map(own.map((info) => [info.name, toLag(info, samples.get(info.name), at)])),
        samples,
        pulled: new Set(own.filter((info) => isPulled(info, key)).map(({ name }) => name)),
        paused: new Map(own.flatMap(toPauses)),
      });
      faults.delete(key);
      for (const info of own) followers.get(`${key} ${info.name}`)?.(toReading(info));
    } catch (error) {
      fault(key, error);
    }
  }

  function isPulled(
    { name, num_waiting, num_ack_pending, delivered, ts }: ConsumerInfo,
    key: string,
  ): boolean {
    if (num_waiting > 0) return true;
    if (num_ack_pending === 0) return false;
    const at = delivered.last_active ?? "";
    const heldMs = Date.parse(ts ?? "") - Date.parse(at);
    // nats-server before 2.10 does not send its time: use the time for which this relay has seen this delivery.
    return (Number.isNaN(heldMs) ? watchedMs(`${key} ${name}`, at) : heldMs) < HELD_MS;
  }

  function watchedMs(consumer: string, at: string): number {
    const now = performance.now();
    const known = deliveries.get(consumer);
    if (known?.at === at) return now - known.seenAt;
    deliveries.delete(consumer);
    deliveries.set(consumer, { at, seenAt: now });
    for (const oldest of deliveries.keys()) {
      if (deliveries.size <= MAX_DELIVERIES) break;
      deliveries.delete(oldest);
    }
    return 0;
  }

  /** Logs a failed list, unless the subscriptions or the connection log the same trouble. */
  function fault(key: string, error: unknown): void {
    const reason = messageOf(error);
    if (error instanceof RelayError && error.code === "stream-missing") readings.delete(key);
    else if (connection.isConnected && !signal.aborted && faults.get(key) !== reason) {
      faults.set(key, reason);
      logger.warn("Cannot read the consumer lag", { reason });
    }
    if (/permissions violation/iu.test(reason)) forbidden.add(key);
  }

  function current(): readonly Reading[] {
    const oldest = performance.now() - pace.maxAgeMs;
    return [...readings.values()].filter(({ at }) => at > oldest);
  }

  void run(); // Never rejects.

  return {
    of({ id, source }) {
      const reading = readings.get(keyOf(source));
      if (reading === undefined || performance.now() - reading.at > pace.maxAgeMs) return null;
      return reading.consumers.get(durableName(id)) ?? null;
    },
    pausedUntil({ id, source }) {
      const paused = readings.get(keyOf(source))?.paused;
      if (paused === undefined || paused.size === 0) return null;
      const pause = paused.get(durableName(id));
      return pause !== undefined && performance.now() < pause.endsAt ? pause.until : null;
    },
    orphans() {
      const owned = new Set(subscriptions().map(({ id, source }) => `${keyOf(source)} ${durableName(id)}`));
      return current()
        .flatMap(({ stream: { domain, stream }, consumers, pulled }) =>
          [...consumers].flatMap(([consumer, lag]): Orphan[] =>
            pulled.has(consumer) ? [] : [{ domain, stream, consumer, lag }],
          ),
        )
        .filter((orphan) => !owned.has(`${keyOf(orphan)} ${orphan.consumer}`))
        .slice(0, MAX_ORPHANS);
    },
    follow(consumer, take) {
      const key = `${keyOf(consumer)} ${consumer.durable}`;
      followers.set(key, take);
      return () => void (followers.get(key) === take && followers.delete(key));
    },
    close() {
      forget();
      closing.abort();
    },
  };
}

/** Neither name contains a space. */
function keyOf({ domain, stream }: StreamRef): string {
  return `${domain ?? ""} ${stream}`;
}

function toLag(info: ConsumerInfo, samples: readonly Sample[] = [], at: number): ConsumerLag {
  return {
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
    growth: growthOf(samples, { at, pending: info.num_pending }),
  };
}

/** The new list, without what is older than 5 minutes. */
export function addSample(
  before: readonly Sample[] = [],
  { num_pending: pending }: Pick<ConsumerInfo, "num_pending">,
  at: number,
): readonly Sample[] {
  const kept = before.filter((sample) => sample.at >= at - GROWTH_MS);
  const newest = kept.at(-1);
  return newest === undefined || at - newest.at >= SAMPLE_MS ? [...kept, { at, pending }] : kept;
}

export function growthOf(samples: readonly Sample[], now: Sample): number | null {
  const [oldest] = samples;
  if (oldest === undefined || now.at - oldest.at < SAMPLE_MS) return null;
  const isCaughtUp = [...samples, now].some(({ pending }) => pending === 0);
  return isCaughtUp ? null : now.pending - oldest.pending;
}

/** Since nats-server 2.11. */
function toPauses({
  name,
  config,
  paused,
  pause_remaining: remaining,
}: ConsumerInfo): [string, ServerPause][] {
  if (!paused || config.pause_until === undefined) return [];
  const until = new Date(config.pause_until);
  const remainingMs = remaining / NANOS_PER_MS;
  return [[name, { until, endsAt: performance.now() + remainingMs }]];
}
