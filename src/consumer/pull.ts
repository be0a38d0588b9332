// Pull requests: their state, when to give one up, the pace of the next one, its expiry, heartbeat and batch size.

import { onNextTick } from "#lib/ticks.ts";
import type { PullVerdict } from "#nats/pull-status.ts";
import type { Room } from "./credit.ts";

export interface Pull {
  readonly id: number;
  readonly sentAt: number;
  readonly expiresMs: number;
  readonly silenceMs: number;
  readonly maxBytes: number;
  /** When the last answer came, or the pull was sent. */
  heardAt: number;
  /** Messages that may still come. */
  left: number;
  /** Bytes that may still come, as the server counts them. */
  bytesLeft: number;
  hasDelivered: boolean;
  /** The server has ended it; the messages left are on their way. */
  isOver: boolean;
}

const OVERDUE_MS = 300;
/** Time for messages on their way: a replicated consumer sends them once most servers have recorded them. */
const ON_ITS_WAY_MS = 1000;

export function createPull(id: number, { batch, maxBytes, expiresMs, silenceMs }: PullRequest): Pull {
  const now = performance.now();
  return {
    id,
    expiresMs,
    silenceMs,
    maxBytes,
    sentAt: now,
    heardAt: now,
    left: batch,
    bytesLeft: maxBytes,
    hasDelivered: false,
    isOver: false,
  };
}

/** Counts one message that came. */
export function countDelivered(pull: Pull, bytes: number): void {
  pull.hasDelivered = true;
  pull.bytesLeft -= bytes;
  // The server ends a pull silently if its bytes are used up exactly.
  pull.left = pull.bytesLeft === 0 ? 0 : pull.left - 1;
}

/**
 * When to give up on the messages that are left, on the clock of `performance.now`. Each answer moves it further away.
 */
export function givenUpAt({ sentAt, heardAt, expiresMs, silenceMs, isOver }: Pull): number {
  if (isOver) return heardAt + ON_ITS_WAY_MS;
  // No heartbeat came, or no end: nats-server 2.9.10 drops a pull silently if a message finds it expired.
  return Math.min(heardAt + silenceMs, sentAt + expiresMs + OVERDUE_MS);
}

interface PullPace {
  /** Pulls after `minMs`, doubling with each call, with jitter. */
  later: (minMs: number) => void;
  /** Pulls in a few milliseconds, unless a pull is due sooner: slots that become free until then go into one pull. */
  gather: () => void;
  /** Pulls at the next 50 ms tick, which all idle pumps share: one write for all of them. */
  together: () => void;
  cancel: () => void;
  /** Starts the doubling again. */
  reset: () => void;
  /** After a failure: the next pull may not come sooner. */
  readonly isBackingOff: boolean;
}

const MAX_BACKOFF_MS = 2000;
const GATHER_MS = 3;
const TOGETHER_MS = 50;

/** `pull` must not throw; the wait that led to it is over when it is called. */
export function createPullPace(pull: () => void): PullPace {
  /** Null: nothing is due. */
  let cancelWait: (() => void) | null = null;
  let backoffMs = 0;
  let isBackingOff = false;

  function start(schedule: (act: () => void) => () => void): void {
    cancelWait = schedule(() => {
      cancelWait = null;
      isBackingOff = false;
      pull();
    });
  }

  function wait(delayMs: number): void {
    start((act) => {
      const timer = setTimeout(act, delayMs);
      return () => clearTimeout(timer);
    });
  }

  function cancel(): void {
    cancelWait?.();
    cancelWait = null;
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
      if (cancelWait === null) wait(GATHER_MS);
    },
    together: () => {
      if (cancelWait === null) start((act) => onNextTick(TOGETHER_MS, act));
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

/** A short pull that shows soon whether the consumer is usable. */
const PROBE: PullTiming = { expiresMs: 1000, heartbeatMs: 250 };
/** A heartbeat that is later than this is missing, not just delayed. */
const SILENCE_FACTOR = 1.2;
const PROBE_SILENCE_MS = 900;
const LONGEST_PULL_MS = 30_000;
const HEARTBEAT_MS = 2500;
/** Of all pumps together: with very many pumps, each one asks for fewer heartbeats. */
const HEARTBEATS_PER_SECOND = 50;
const COMMON_END_MS = 1000;
const SHORT_PULL_MS = 1000;
const LONGEST_SHORT_PULL_MS = 5000;
const SHORT_PULLS_PER_SECOND = 200;

interface PullTimingOptions {
  readonly acks: boolean;
  readonly ackWaitMs: number;
  /** Number of pumps of this relay. */
  readonly pumps: () => number;
}

/**
 * Without acks nothing is redelivered, so pulls are short and `stop` waits for their end. With acks a pull lasts at most the
 * ack wait: the open pull of a dead host takes messages from the relay that takes over.
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

/** `probe`: shows soon whether the consumer is usable; `large`: one message of any size. */
export type PullPurpose = "usual" | "probe" | "large";

interface PullRequest {
  readonly batch: number;
  /** Infinity: no limit. */
  readonly maxBytes: number;
  readonly expiresMs: number;
  /** Without an answer for this long the pull is dead; Infinity: only its end tells. */
  readonly silenceMs: number;
  readonly body: string;
}

interface PullRequests {
  /** Lowers the requests to a limit of the consumer. */
  limit: (verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>) => void;
  /** The next pull, for `room` at most. */
  next: (room: Room, purpose: PullPurpose) => PullRequest;
  /** The next message did not fit into this pull: it is asked for by itself, or once more of the window is free. */
  tooSmall: (pull: Pull, options: { readonly isHolding: boolean }) => PullPurpose;
  /** False: the next message is known to need more. */
  mayFit: (room: Room) => boolean;
  /** A message came: nothing is known of the next one. */
  delivered: () => void;
  /** Expiry of the longest pull. */
  readonly expiresMs: number;
}

/** Below the 64 MB of pending data at which a server disconnects a slow client. */
const MAX_PULL_BYTES = 16 * 1024 * 1024;
const LEAST_EXPIRES_MS = 100;
const NANOS_PER_MS = 1_000_000;

export function createPullRequests(options: PullTimingOptions): PullRequests {
  let maxBatch = Number.MAX_SAFE_INTEGER;
  let maxBytes = MAX_PULL_BYTES;
  let leastBytes = 0;
  let maxExpiresMs = pullTiming(options).expiresMs;
  /** Random, so that the pulls of pumps that start together do not end together. */
  let share = Math.random();

  function limit(verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>): void {
    if (verdict.kind === "limit-expires")
      maxExpiresMs = Math.max(LEAST_EXPIRES_MS, Math.floor(maxExpiresMs / 2));
    else if (verdict.field === "batch") maxBatch = verdict.most;
    else maxBytes = Math.min(maxBytes, verdict.most);
  }

  function next(room: Room, purpose: PullPurpose): PullRequest {
    const wanted = purpose === "probe" ? PROBE : pullTiming(options);
    const longestMs = Math.min(wanted.expiresMs, maxExpiresMs);
    const isOneOfMany = purpose === "usual" && wanted.heartbeatMs > HEARTBEAT_MS;
    const expiresMs = isOneOfMany ? untilCommonEnd(longestMs * share) : longestMs;
    // After a common fault all pumps start together again.
    share = isOneOfMany ? 1 : Math.random();
    // A single heartbeat would tell no more than the end of the pull.
    const isBetweenEnds = wanted.heartbeatMs <= wanted.expiresMs / 2;
    const heartbeatMs = isBetweenEnds ? Math.min(wanted.heartbeatMs, Math.floor(expiresMs / 2)) : 0;
    const batch = Math.min(room.messages, purpose === "large" ? 1 : maxBatch);
    const bytes = purpose === "large" ? Number.POSITIVE_INFINITY : Math.min(maxBytes, room.bytes);
    return {
      batch,
      maxBytes: bytes,
      expiresMs,
      silenceMs: purpose === "probe" ? PROBE_SILENCE_MS : toSilenceMs(isBetweenEnds ? wanted.heartbeatMs : 0),
      body: JSON.stringify({
        batch,
        expires: expiresMs * NANOS_PER_MS,
        ...(heartbeatMs > 0 ? { idle_heartbeat: heartbeatMs * NANOS_PER_MS } : {}),
        ...(purpose === "large" ? {} : { max_bytes: bytes }),
      }),
    };
  }

  return {
    limit,
    next,
    get expiresMs() {
      return maxExpiresMs;
    },
    tooSmall(pull, { isHolding }) {
      if (pull.maxBytes >= maxBytes || !isHolding) return "large";
      leastBytes = Math.min(maxBytes, pull.maxBytes * 2);
      return "usual";
    },
    mayFit: ({ bytes }) => bytes >= leastBytes,
    delivered: () => (leastBytes = 0),
  };
}

/** A little less than `longestMs`: the pulls of many pumps end at the same tick, and one write renews them. */
function untilCommonEnd(longestMs: number): number {
  const endAt = performance.now() + longestMs;
  return Math.max(SHORT_PULL_MS, Math.round(longestMs - (endAt % COMMON_END_MS)));
}

function toSilenceMs(heartbeatMs: number): number {
  return heartbeatMs === 0 ? Number.POSITIVE_INFINITY : heartbeatMs * SILENCE_FACTOR;
}
