// What a pull asks for, within what the consumer was seen to allow.

import type { PullVerdict } from "./pull-status.ts";

export interface PullTiming {
  readonly expiresMs: number;
  /** 0: none. */
  readonly heartbeatMs: number;
  /** A pull of which nothing was heard for so long is dead; without heartbeats its end tells. */
  readonly silenceMs: number;
}

/** A pull that tells soon whether the consumer can be used. */
const PROBE: PullTiming = { expiresMs: 1000, heartbeatMs: 250, silenceMs: 900 };

/**
 * Without acks nothing is redelivered, so a pull is soon over and its end can be waited for. With them it lasts no longer
 * than the ack wait: the pull of a host that went silent stands in the way of the relay that takes over.
 */
export function pullTiming({ acks, ackWaitMs }: { acks: boolean; ackWaitMs: number }): PullTiming {
  return acks
    ? { expiresMs: Math.min(30_000, ackWaitMs), heartbeatMs: 2500, silenceMs: 3000 }
    : { expiresMs: 1000, heartbeatMs: 0, silenceMs: Number.POSITIVE_INFINITY };
}

/** `usual`; `probe`: it tells soon whether the consumer can be used; `large`: one message, however large. */
export type PullPurpose = "usual" | "probe" | "large";

export interface PullRequest {
  readonly batch: number;
  /** Infinity: no limit. */
  readonly maxBytes: number;
  readonly expiresMs: number;
  readonly silenceMs: number;
  readonly body: string;
}

export interface PullRequests {
  /** Takes in that the consumer allows less than was asked for. */
  limit: (verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>) => void;
  /** Of `room` messages at most. */
  next: (room: number, purpose: PullPurpose) => PullRequest;
  readonly expiresMs: number;
}

/** Below the 64 MB after which a server takes a client for too slow. */
const MAX_PULL_BYTES = 16 * 1024 * 1024;
const LEAST_EXPIRES_MS = 100;
const NANOS_PER_MS = 1_000_000;

export function createPullRequests(timing: PullTiming): PullRequests {
  let maxBatch = Number.MAX_SAFE_INTEGER;
  let maxBytes = MAX_PULL_BYTES;
  let { expiresMs } = timing;

  function limit(verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>): void {
    if (verdict.kind === "limit-expires") expiresMs = Math.max(LEAST_EXPIRES_MS, Math.floor(expiresMs / 2));
    else if (verdict.field === "batch") maxBatch = verdict.most;
    else maxBytes = Math.min(maxBytes, verdict.most);
  }

  function next(room: number, purpose: PullPurpose): PullRequest {
    const wanted = purpose === "probe" ? PROBE : timing;
    const expires = Math.min(wanted.expiresMs, expiresMs);
    const heartbeatMs = Math.min(wanted.heartbeatMs, Math.floor(expires / 2));
    const batch = Math.min(room, purpose === "large" ? 1 : maxBatch);
    return {
      batch,
      maxBytes: purpose === "large" ? Number.POSITIVE_INFINITY : maxBytes,
      expiresMs: expires,
      silenceMs: wanted.silenceMs,
      body: JSON.stringify({
        batch,
        expires: expires * NANOS_PER_MS,
        ...(heartbeatMs > 0 ? { idle_heartbeat: heartbeatMs * NANOS_PER_MS } : {}),
        ...(purpose === "large" ? {} : { max_bytes: maxBytes }),
      }),
    };
  }

  return {
    limit,
    next,
    get expiresMs() {
      return expiresMs;
    },
  };
}
