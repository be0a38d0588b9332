// Which relay of the cluster does what only one may: the owner of a seat, a key of the bucket, for as long as it lives.
//
//   free --take--> owned --release, stop--> free
//                  owned --its relay is silent for the time of the lease--> taken by another
//
// A relay renews one key of its own, however many seats it has; the key of a seat is written when its owner changes. Nobody's
// clock is compared with another's: who wants a seat watches for how long the relay that has it has renewed nothing. A relay
// that is started again on its own state directory is who it was, and has its seats at once.

import { randomUUID } from "node:crypto";
import { parseStored, toFields } from "#delivery/status.ts";
import { createLimiter } from "#lib/limiter.ts";
import type { Logger } from "#lib/logger.ts";
import { startTicks } from "#lib/ticks.ts";
import type { Bucket } from "#bucket/bucket.ts";
import type { BucketEntry } from "#bucket/mirror.ts";

export type SeatsBucket = Pick<Bucket, "ready" | "fault" | "get" | "write" | "erase" | "onChange">;

export interface SeatHolder {
  readonly host: string;
  readonly since: Date;
  readonly isHere: boolean;
}

export interface Tenure {
  /** Another relay has it now, or nobody. */
  readonly lost: AbortSignal;
  /** False: it may be another's by now, though nobody has told yet. */
  readonly isCurrent: () => boolean;
  /** Another relay may take it at once. Never rejects; takes a second at most. */
  readonly release: () => Promise<void>;
}

export type SeatResult =
  | { readonly kind: "taken"; readonly tenure: Tenure }
  /** Nobody can say who has it. */
  | { readonly kind: "unusable"; readonly reason: string };

export interface Seat {
  /** Waits until this relay has it. Null: `signal` aborted. Never rejects. */
  take: (signal: AbortSignal) => Promise<SeatResult | null>;
  /** As last heard; null: nobody has it. */
  holder: () => SeatHolder | null;
  /** Whether the bucket can say who has it. Never rejects. */
  isUsable: () => Promise<boolean>;
}

export interface Seats {
  /** It is taken over once its relay has been silent for `leaseMs`. */
  of: (name: string, leaseMs: number) => Seat;
  /** Nobody waits for this relay any more: to be called when all seats are released. */
  close: () => Promise<void>;
}

interface SeatsOptions {
  /** Of this relay, the same after a restart; token of a key. */
  readonly relay: string;
  readonly host: string;
  readonly logger: Logger;
  /** Without NATS nothing is wrong with the bucket. */
  readonly isConnected: () => boolean;
  readonly now: () => number;
  /** Calls back now and then; returns how to end that. */
  readonly everyTick?: (act: () => void) => () => void;
}

const RELAY_PREFIX = "relay.";
const SEAT_PREFIX = "seat.";
const TICK_MS = 500;
/** A bucket that cannot be used for so long is not waited for. */
const PATIENCE_MS = 10_000;
const WRITE_MS = 2000;
const RELEASE_MS = 1000;
const WRITES_AT_ONCE = 32;

interface Owner extends Omit<SeatHolder, "isHere"> {
  readonly relay: string;
}

/** Of the key of a relay: which process writes it, and how often it did. */
interface Beat {
  readonly run: unknown;
  readonly beat: number;
}

interface Waiting {
  readonly name: string;
  readonly leaseMs: number;
  since: number;
  /** Since when it could be taken, but not be written; null: that did not happen, or somebody has it. */
  failsSince: number | null;
  readonly resolve: (result: SeatResult) => void;
  isTrying: boolean;
}

interface Held {
  readonly leaseMs: number;
  readonly lost: AbortController;
}

export function createSeats(bucket: SeatsBucket, options: SeatsOptions): Seats {
  const { host, logger, now } = options;
  const everyTick = options.everyTick ?? ((act) => startTicks(TICK_MS, act));
  /** Of this process: who else renews the key of this relay runs on a copy of its state directory. */
  const run = randomUUID();
  const limiter = createLimiter(WRITES_AT_ONCE);
  const waiting = new Set<Waiting>();
  const held = new Map<string, Held>();
  /** When the key of a relay was seen to change last. */
  const heardOf = new Map<string, { readonly value: string; readonly at: number }>();
  let { relay } = options;
  let beat = 0;
  /** What the process before this one left. */
  let former: Beat | null = null;
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let renewal: Promise<boolean> | null = null;
  let isReady = false;
  let endTicks: (() => void) | null = null;
  const closing = new AbortController();
  void bucket.ready(closing.signal).then((ready) => {
    isReady = ready;
    tick();
  });
  const forget = bucket.onChange((key, entry) => {
    if (key.startsWith(RELAY_PREFIX)) onRelay(key.slice(RELAY_PREFIX.length), entry);
    else if (key.startsWith(SEAT_PREFIX)) onSeat(key.slice(SEAT_PREFIX.length), entry);
  });

  function onRelay(id: string, entry: BucketEntry | null): void {
    if (entry === null) heardOf.delete(id);
    else heardOf.set(id, { value: entry.value, at: now() });
    if (entry === null) for (const one of waiting) if (ownerOf(one.name)?.relay === id) attempt(one);
  }

  function onSeat(name: string, entry: BucketEntry | null): void {
    const owner = toOwner(entry);
    if (owner?.relay !== relay) lose(name);
    for (const one of waiting)
      if (one.name === name && (owner === null || owner.relay === relay)) attempt(one);
  }

  function lose(name: string): void {
    const tenure = held.get(name);
    held.delete(name);
    tenure?.lost.abort();
    rest();
  }

  function ownerOf(name: string): Owner | null {
    return toOwner(bucket.get(SEAT_PREFIX + name));
  }

  /** For how long a relay has renewed nothing, as far as this one could see. */
  function silenceOf(id: string): number {
    const value = bucket.get(RELAY_PREFIX + id)?.value;
    if (value === undefined) return Number.POSITIVE_INFINITY;
    const heard = heardOf.get(id);
    if (heard?.value === value) return now() - heard.at;
    heardOf.set(id, { value, at: now() });
    return 0;
  }

  function isFree({ name, leaseMs }: Waiting): boolean {
    const owner = ownerOf(name);
    return owner === null || owner.relay === relay || silenceOf(owner.relay) >= leaseMs;
  }

  function attempt(one: Waiting): void {
    if (!isReady || one.isTrying || !waiting.has(one) || !isFree(one)) return;
    one.isTrying = true;
    void tryToTake(one).then((result) => {
      one.isTrying = false;
      if (result !== null) settle(one, result);
      else one.failsSince ??= now();
    });
  }

  function settle(one: Waiting, result: SeatResult): void {
    if (!waiting.delete(one)) {
      if (result.kind === "taken") void result.tenure.release();
      return;
    }
    one.resolve(result);
  }

  /** Null: not now. Never rejects. */
  async function tryToTake(one: Waiting): Promise<SeatResult | null> {
    if (!(await isAlive(one.leaseMs)) || !(await limiter.acquire(closing.signal))) return null;
    const result = await write(one);
    limiter.release();
    return result;
  }

  /** Decides on what is known now: somebody may have taken it meanwhile. */
  async function write(one: Waiting): Promise<SeatResult | null> {
    const { name, leaseMs } = one;
    const key = SEAT_PREFIX + name;
    const entry = bucket.get(key);
    if (toOwner(entry)?.relay === relay) return { kind: "taken", tenure: hold(name, leaseMs) };
    if (!isFree(one)) return null;
    const value = JSON.stringify({ relay, host, since: new Date().toISOString() });
    const condition = { expectedRevision: entry?.revision ?? 0, signal: AbortSignal.timeout(WRITE_MS) };
    const result = await bucket.write(key, value, condition);
    if (result.kind === "written") {
      forgetDead(toOwner(entry)?.relay ?? relay);
      return { kind: "taken", tenure: hold(name, leaseMs) };
    }
    return result.kind === "refused" ? { kind: "unusable", reason: result.reason } : null;
  }

  /** Each relay that never comes back would leave a key. One that lives renews its own. */
  function forgetDead(id: string): void {
    const entry = bucket.get(RELAY_PREFIX + id);
    if (id === relay || entry === null) return;
    const signal = AbortSignal.timeout(WRITE_MS);
    void bucket.erase(RELAY_PREFIX + id, { expectedRevision: entry.revision, signal }); // Never rejects.
  }

  function hold(name: string, leaseMs: number): Tenure {
    const own: Held = held.get(name) ?? { leaseMs, lost: new AbortController() };
    held.set(name, own);
    const { signal: lost } = own.lost;
    return {
      lost,
      isCurrent: () => !lost.aborted && now() - confirmedAt < leaseMs - renewMs(),
      async release() {
        if (lost.aborted) return;
        lose(name);
        const entry = bucket.get(SEAT_PREFIX + name);
        if (toOwner(entry)?.relay !== relay) return;
        const signal = AbortSignal.timeout(RELEASE_MS);
        if (!(await limiter.acquire(signal))) return;
        await bucket.erase(SEAT_PREFIX + name, { expectedRevision: entry?.revision ?? 0, signal });
        limiter.release();
      },
    };
  }

  function renewMs(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { leaseMs } of held.values()) least = Math.min(least, leaseMs);
    return least / 3;
  }

  /** Others know that it lives, or do so once this resolves with true. */
  async function isAlive(leaseMs: number): Promise<boolean> {
    return now() - confirmedAt < leaseMs / 3 || (await renew());
  }

  function renew(): Promise<boolean> {
    renewal ??= renewOnce().finally(() => (renewal = null));
    return renewal;
  }

  async function renewOnce(): Promise<boolean> {
    const entry = bucket.get(RELAY_PREFIX + relay);
    if (beat === 0) former = entry === null ? null : toBeat(entry);
    else if (entry !== null && isAnothers(toBeat(entry))) changeIdentity();
    const at = now();
    beat += 1;
    const result = await bucket.write(RELAY_PREFIX + relay, JSON.stringify({ run, beat }), {
      expectedRevision: bucket.get(RELAY_PREFIX + relay)?.revision ?? 0,
      signal: AbortSignal.timeout(WRITE_MS),
    });
    if (result.kind === "written") confirmedAt = at;
    return result.kind === "written";
  }

  /** A server that was killed may show what the former process left once more. */
  function isAnothers(seen: Beat): boolean {
    const isFormer = former !== null && seen.run === former.run && seen.beat <= former.beat;
    return seen.run !== run && !isFormer;
  }

  /** Both would take the seats of one for their own. */
  function changeIdentity(): void {
    const before = relay;
    relay = randomUUID();
    logger.warn("Another relay runs on a copy of this state directory: this one takes another identity", {
      before,
      relay,
    });
    for (const name of held.keys()) lose(name);
  }

  function tick(): void {
    if (held.size > 0 && now() - confirmedAt >= renewMs()) void renew(); // Never rejects.
    for (const one of waiting) {
      const reason = findObstacle(one);
      if (reason === null) attempt(one);
      else settle(one, { kind: "unusable", reason });
    }
    rest();
  }

  /** Null: none, or not for long. */
  function findObstacle(one: Waiting): string | null {
    if (!options.isConnected()) one.since = now();
    if (!options.isConnected() || !isFree(one)) one.failsSince = null;
    const reason = bucket.fault() ?? (isReady ? null : "it was not read yet");
    if (reason !== null) return now() - one.since < PATIENCE_MS ? null : reason;
    const { failsSince } = one;
    return failsSince === null || now() - failsSince < PATIENCE_MS ? null : "it cannot be written";
  }

  function rest(): void {
    if (held.size > 0 || waiting.size > 0) {
      endTicks ??= everyTick(tick);
      return;
    }
    endTicks?.();
    endTicks = null;
  }

  function take(name: string, leaseMs: number, signal: AbortSignal): Promise<SeatResult | null> {
    if (signal.aborted || closing.signal.aborted) return Promise.resolve(null);
    const { promise, resolve } = Promise.withResolvers<SeatResult | null>();
    const one: Waiting = { name, leaseMs, since: now(), failsSince: null, resolve, isTrying: false };
    const onAbort = () => {
      waiting.delete(one);
      resolve(null);
      rest();
    };
    signal.addEventListener("abort", onAbort);
    waiting.add(one);
    rest();
    attempt(one);
    return promise.finally(() => signal.removeEventListener("abort", onAbort));
  }

  return {
    of: (name, leaseMs) => ({
      take: (signal) => take(name, leaseMs, signal),
      holder() {
        const owner = ownerOf(name);
        if (owner === null) return null;
        const { host: of, since } = owner;
        return { host: of, since, isHere: owner.relay === relay };
      },
      isUsable: async () => isReady && bucket.fault() === null && isAlive(leaseMs),
    }),
    async close() {
      closing.abort();
      forget();
      for (const name of held.keys()) lose(name);
      endTicks?.();
      endTicks = null;
      await renewal;
      const entry = bucket.get(RELAY_PREFIX + relay);
      if (entry === null || toBeat(entry).run !== run) return;
      const signal = AbortSignal.timeout(RELEASE_MS);
      await bucket.erase(RELAY_PREFIX + relay, { expectedRevision: entry.revision, signal });
    },
  };
}

function toBeat({ value }: BucketEntry): Beat {
  const { run, beat } = toFields(parseStored(value));
  return { run, beat: Number(beat) };
}

/** What cannot be read has no owner. */
function toOwner(entry: BucketEntry | null): Owner | null {
  if (entry === null) return null;
  const { relay, host, since } = toFields(parseStored(entry.value));
  if (typeof relay !== "string" || typeof host !== "string" || typeof since !== "string") return null;
  const time = new Date(since);
  return Number.isNaN(time.getTime()) ? null : { relay, host, since: time };
}
