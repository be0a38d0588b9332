// How far behind the consumers of this relay are, and which consumers are nobody's: one list of each stream, now and then.

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
  /** Delivered, and not acknowledged yet. */
  readonly ackPending: number;
  /** Of these, delivered more than once. */
  readonly redelivered: number;
}

/** Somebody holds the consumer on the server: no message comes. */
interface ServerPause {
  /** By the server's clock. */
  readonly until: Date;
  /** By `performance.now`. */
  readonly endsAt: number;
}

/** A durable consumer that a relay made for a subscription, which this relay does not have: nobody pulls from it. */
interface Orphan extends StreamRef {
  readonly consumer: string;
  readonly lag: ConsumerLag;
}

type Reader = Pick<Subscription, "id" | "source">;

export interface Lag {
  /** null: not known, or not any more. */
  of: (subscription: Reader) => ConsumerLag | null;
  /** Until when somebody holds its consumer on the server (`nats consumer pause`); null: nobody is known to. */
  pausedUntil: (subscription: Reader) => Date | null;
  /** Of the streams that subscriptions of this relay read. */
  orphans: () => readonly Orphan[];
  /** `take` is told what each list says of that consumer, and must not throw. Returns how to end that. */
  follow: (consumer: ConsumerRef, take: (reading: ConsumerReading) => void) => () => void;
  /** Nothing is asked any more. */
  close: () => void;
}

export interface LagPace {
  /** After the first connect: consumers are made then. */
  readonly firstMs: number;
  readonly intervalMs: number;
  /** What is older says nothing about now. */
  readonly maxAgeMs: number;
}

export const LAG_PACE: LagPace = { firstMs: 2000, intervalMs: 15_000, maxAgeMs: 60_000 };

interface Reading {
  readonly stream: StreamRef;
  readonly at: number;
  /** Those with a name that a relay gives, by name. */
  readonly consumers: ReadonlyMap<string, ConsumerLag>;
  /** Those of them that somebody pulls from: this relay or another one. */
  readonly pulled: ReadonlySet<string>;
  /** Until when somebody holds them on the server, by this process's clock of `performance.now`. */
  readonly paused: ReadonlyMap<string, ServerPause>;
}

/** The last delivery of a consumer, and since when this relay knows of no later one. */
interface Delivery {
  readonly at: string;
  readonly seenAt: number;
}

/** Streams at once. */
const BATCH = 8;
const MAX_ORPHANS = 1000;
const MAX_DELIVERIES = 20_000;
const NANOS_PER_MS = 1_000_000;
/** A relay whose callbacks are slow does not pull while it holds as much as it may: it is given this long. */
const HELD_MS = 3_600_000;
const PREFIX = durableName("");

/** Asks nothing while NATS is away. Never fails: what cannot be seen is not known. */
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
  /** Streams whose consumers this account may not list: asked again after the next connect. */
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
      readings.set(key, {
        stream: { domain, stream },
        at: performance.now(),
        consumers: new Map(own.map((info) => [info.name, toLag(info)])),
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
    // Before nats-server 2.10 it does not say what time it is; then the time counts that this relay has watched it.
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

  /** What its subscriptions say, and the connection, is not said again. */
  function fault(key: string, error: unknown): void {
    const reason = messageOf(error);
    if (error instanceof RelayError && error.code === "stream-missing") readings.delete(key);
    else if (connection.isConnected && !signal.aborted && faults.get(key) !== reason) {
      faults.set(key, reason);
      logger.warn("The lag is not known", { reason });
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

/** Neither name can have a space. */
function keyOf({ domain, stream }: StreamRef): string {
  return `${domain ?? ""} ${stream}`;
}

function toLag(info: ConsumerInfo): ConsumerLag {
  return {
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
  };
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
