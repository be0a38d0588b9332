// A pull that is out, and whether it is still worth waiting for.

import type { PullVerdict } from "#nats/pull-status.ts";

export interface Pull {
  readonly id: number;
  readonly sentAt: number;
  readonly expiresMs: number;
  readonly silenceMs: number;
  /** When anything came last, or the pull was sent. */
  heardAt: number;
  /** How many may still come. */
  left: number;
  /** How much they may take, as the server counts it. */
  bytesLeft: number;
  hasDelivered: boolean;
  /** The server has said that it is over: what is left is on its way. */
  isOver: boolean;
}

const OVERDUE_MS = 300;
/** Until what is on its way has come: a replicated consumer sends it when most servers have noted it. */
const ON_ITS_WAY_MS = 1000;

export function createPull(id: number, { batch, maxBytes, expiresMs, silenceMs }: PullRequest): Pull {
  const now = performance.now();
  return {
    id,
    expiresMs,
    silenceMs,
    sentAt: now,
    heardAt: now,
    left: batch,
    bytesLeft: maxBytes,
    hasDelivered: false,
    isOver: false,
  };
}

/** One of its messages has come. */
export function countDelivered(pull: Pull, bytes: number): void {
  pull.hasDelivered = true;
  pull.bytesLeft -= bytes;
  // The server ends a pull whose bytes are used up exactly without a word.
  pull.left = pull.bytesLeft === 0 ? 0 : pull.left - 1;
}

/**
 * When nothing more can be expected of it, though the messages that are left have not come: on the clock of
 * `performance.now`, later with everything that is heard of it.
 */
export function givenUpAt({ sentAt, heardAt, expiresMs, silenceMs, isOver }: Pull): number {
  if (isOver) return heardAt + ON_ITS_WAY_MS;
  // Not even a heartbeat came; or its end was not told: nats-server 2.9.10 drops a pull without a word if a message finds it
  // run out.
  return Math.min(heardAt + silenceMs, sentAt + expiresMs + OVERDUE_MS);
}

interface PullPace {
  /** After `minMs`, doubling from call to call, with jitter. */
  later: (minMs: number) => void;
  /** In a moment, unless one is due sooner: what becomes free until then goes into one pull. */
  gather: () => void;
  /** In a moment in which all others that do so pull too: one write for many that have nothing to do. */
  together: () => void;
  cancel: () => void;
  /** The doubling starts anew. */
  reset: () => void;
  /** Before a pull that may not come sooner: after a failure. */
  readonly isBackingOff: boolean;
}

const MAX_BACKOFF_MS = 2000;
const GATHER_MS = 3;
const TOGETHER_MS = 50;

/** `pull` must not throw; the wait that led to it is over when it is called. */
export function createPullPace(pull: () => void): PullPace {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let backoffMs = 0;
  let isBackingOff = false;

  function wait(delayMs: number): void {
    timer = setTimeout(() => {
      timer = null;
      isBackingOff = false;
      pull();
    }, delayMs);
  }

  function cancel(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    isBackingOff = false;
  }

  return {
    later: (minMs) => {
      backoffMs = Math.min(Math.max(minMs, backoffMs * 2), MAX_BACKOFF_MS);
      cancel();
      isBackingOff = true;
      wait(backoffMs * (0.75 + Math.random() / 2));
    },
    gather: () => {
      if (timer === null) wait(GATHER_MS);
    },
    together: () => {
      if (timer === null) wait(Math.ceil(TOGETHER_MS - (performance.now() % TOGETHER_MS)));
    },
    cancel,
    reset: () => {
      backoffMs = 0;
    },
    get isBackingOff() {
      return isBackingOff;
    },
  };
}

interface PullTiming {
  readonly expiresMs: number;
  /** 0: none. */
  readonly heartbeatMs: number;
}

/** A pull that tells soon whether the consumer can be used. */
const PROBE: PullTiming = { expiresMs: 1000, heartbeatMs: 250 };
/** Not even by a little lost time does a heartbeat come so late. */
const SILENCE_FACTOR = 1.2;
const PROBE_SILENCE_MS = 900;
const LONGEST_PULL_MS = 30_000;
const HEARTBEAT_MS = 2500;
/** Of all pumps together: with very many each asks for one less often, and those of some are due soon at any time. */
const HEARTBEATS_PER_SECOND = 80;
const COMMON_END_MS = 1000;
const SHORT_PULL_MS = 1000;
const LONGEST_SHORT_PULL_MS = 5000;
const SHORT_PULLS_PER_SECOND = 200;

interface PullTimingOptions {
  readonly acks: boolean;
  readonly ackWaitMs: number;
  /** Of this relay. */
  readonly pumps: () => number;
}

/**
 * Without acks nothing is redelivered, so a pull is soon over and its end can be waited for. With them it lasts no longer
 * than the ack wait: the pull of a host that went silent stands in the way of the relay that takes over.
 */
function pullTiming({ acks, ackWaitMs, pumps }: PullTimingOptions): PullTiming {
  if (!acks) {
    const expiresMs = Math.ceil((pumps() * 1000) / SHORT_PULLS_PER_SECOND);
    return { expiresMs: Math.min(Math.max(SHORT_PULL_MS, expiresMs), LONGEST_SHORT_PULL_MS), heartbeatMs: 0 };
  }
  return {
    expiresMs: Math.min(LONGEST_PULL_MS, ackWaitMs),
    heartbeatMs: Math.max(HEARTBEAT_MS, Math.round((pumps() * 1000) / HEARTBEATS_PER_SECOND)),
  };
}

/** `usual`; `probe`: it tells soon whether the consumer can be used; `large`: one message, however large. */
export type PullPurpose = "usual" | "probe" | "large";

interface PullRequest {
  readonly batch: number;
  /** Infinity: no limit. */
  readonly maxBytes: number;
  readonly expiresMs: number;
  /** When nothing was heard of it for so long it is dead; Infinity: its end tells. */
  readonly silenceMs: number;
  readonly body: string;
}

interface PullRequests {
  /** Takes in that the consumer allows less than was asked for. */
  limit: (verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>) => void;
  /** Of `room` messages at most. */
  next: (room: number, purpose: PullPurpose) => PullRequest;
  /** Of the longest pull. */
  readonly expiresMs: number;
}

/** Below the 64 MB after which a server takes a client for too slow. */
const MAX_PULL_BYTES = 16 * 1024 * 1024;
const LEAST_EXPIRES_MS = 100;
const NANOS_PER_MS = 1_000_000;

export function createPullRequests(options: PullTimingOptions): PullRequests {
  let maxBatch = Number.MAX_SAFE_INTEGER;
  let maxBytes = MAX_PULL_BYTES;
  let maxExpiresMs = pullTiming(options).expiresMs;
  /** Those of many pumps that start at once are not to end at once. */
  let share = Math.random();

  function limit(verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>): void {
    if (verdict.kind === "limit-expires")
      maxExpiresMs = Math.max(LEAST_EXPIRES_MS, Math.floor(maxExpiresMs / 2));
    else if (verdict.field === "batch") maxBatch = verdict.most;
    else maxBytes = Math.min(maxBytes, verdict.most);
  }

  function next(room: number, purpose: PullPurpose): PullRequest {
    const wanted = purpose === "probe" ? PROBE : pullTiming(options);
    const longestMs = Math.min(wanted.expiresMs, maxExpiresMs);
    const isOneOfMany = purpose === "usual" && wanted.heartbeatMs > HEARTBEAT_MS;
    const expiresMs = isOneOfMany ? untilCommonEnd(longestMs * share) : longestMs;
    // After a common fault all begin at once again.
    share = isOneOfMany ? 1 : Math.random();
    // One that comes but once tells no more than the end of the pull.
    const isBetweenEnds = wanted.heartbeatMs <= wanted.expiresMs / 2;
    const heartbeatMs = isBetweenEnds ? Math.min(wanted.heartbeatMs, Math.floor(expiresMs / 2)) : 0;
    const batch = Math.min(room, purpose === "large" ? 1 : maxBatch);
    return {
      batch,
      maxBytes: purpose === "large" ? Number.POSITIVE_INFINITY : maxBytes,
      expiresMs,
      silenceMs: purpose === "probe" ? PROBE_SILENCE_MS : toSilenceMs(wanted.heartbeatMs),
      body: JSON.stringify({
        batch,
        expires: expiresMs * NANOS_PER_MS,
        ...(heartbeatMs > 0 ? { idle_heartbeat: heartbeatMs * NANOS_PER_MS } : {}),
        ...(purpose === "large" ? {} : { max_bytes: maxBytes }),
      }),
    };
  }

  return {
    limit,
    next,
    get expiresMs() {
      return maxExpiresMs;
    },
  };
}

/** A little less than `longestMs`: the pulls of many pumps end together, so that one write renews them. */
function untilCommonEnd(longestMs: number): number {
  const endAt = performance.now() + longestMs;
  return Math.max(SHORT_PULL_MS, Math.round(longestMs - (endAt % COMMON_END_MS)));
}

function toSilenceMs(heartbeatMs: number): number {
  return heartbeatMs === 0 ? Number.POSITIVE_INFINITY : heartbeatMs * SILENCE_FACTOR;
}
