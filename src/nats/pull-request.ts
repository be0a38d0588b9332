// What a pull asks for, within what the consumer was seen to allow.

import type { PullVerdict } from "./pull-status.ts";

export interface PullTiming {
  readonly expiresMs: number;
  /** 0: none. */
  readonly heartbeatMs: number;
  /** A pull of which nothing was heard for so long is dead; without heartbeats its end tells. */
  readonly silenceMs: number;
  readonly watchMs: number;
}

/**
 * Without acks nothing is redelivered, so a pull is soon over and its end can be waited for. With them it lasts no longer
 * than the ack wait: the pull of a host that went silent stands in the way of the relay that takes over.
 */
export function pullTiming({ acks, ackWaitMs }: { acks: boolean; ackWaitMs: number }): PullTiming {
  return acks
    ? { expiresMs: Math.min(30_000, ackWaitMs), heartbeatMs: 2500, silenceMs: 5500, watchMs: 1000 }
    : { expiresMs: 1000, heartbeatMs: 0, silenceMs: Number.POSITIVE_INFINITY, watchMs: 250 };
}

export interface PullRequests {
  /** Takes in that the consumer allows less than was asked for. */
  limit: (verdict: Extract<PullVerdict, { kind: "limit" | "limit-expires" }>) => void;
  readonly maxBatch: number;
  readonly expiresMs: number;
  /** The body of a pull; `isUnbounded`: one message, however large. */
  body: (batch: number, isUnbounded: boolean) => string;
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

  function body(batch: number, isUnbounded: boolean): string {
    const heartbeatMs = Math.min(timing.heartbeatMs, Math.floor(expiresMs / 2));
    return JSON.stringify({
      batch,
      expires: expiresMs * NANOS_PER_MS,
      ...(heartbeatMs > 0 ? { idle_heartbeat: heartbeatMs * NANOS_PER_MS } : {}),
      ...(isUnbounded ? {} : { max_bytes: maxBytes }),
    });
  }

  return {
    limit,
    get maxBatch() {
      return maxBatch;
    },
    get expiresMs() {
      return expiresMs;
    },
    body,
  };
}
