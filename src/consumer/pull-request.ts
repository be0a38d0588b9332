// What a pull asks for, within what the consumer was seen to allow.

import type { PullVerdict } from "#nats/pull-status.ts";

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

export interface PullRequest {
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
