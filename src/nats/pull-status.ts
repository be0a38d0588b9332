// Parses the server's status messages for a pull, and decides the next step. PURE.

import type { Msg } from "@nats-io/transport-node";

import { readHeaderBlock, readStatusCode, readStatusDescription } from "./header-block.ts";

interface PullStatus {
  readonly code: number;
  /** In lower case. */
  readonly description: string;
  /** `Nats-Pending-Messages`: how many messages of the pull will never come; null: unknown. */
  readonly pending: number | null;
}

export type PullVerdict =
  /** A heartbeat: the pull is alive. */
  | { readonly kind: "alive" }
  /** The pull has ended normally. */
  | { readonly kind: "again" }
  /** All requested messages are assigned to the pull. A replicated consumer reports this before it sends them. */
  | { readonly kind: "filled" }
  /** The next message is larger than the pull's `max_bytes`, or than the rest of it. */
  | { readonly kind: "too-small" }
  | { readonly kind: "later"; readonly delayMs: number }
  /** The consumer has a new leader: what the former one still sends is unknown. */
  | { readonly kind: "moved"; readonly delayMs: number }
  /** The consumer allows less: the next pull asks for `most` at most. */
  | { readonly kind: "limit"; readonly field: "batch" | "bytes"; readonly most: number }
  | { readonly kind: "limit-expires" }
  /** No responders for pulls of this consumer. */
  | { readonly kind: "nobody" }
  /** No pull can succeed any more. */
  | { readonly kind: "lost"; readonly reason: string };

const LEADER_CHANGE_MS = 50;
const REFUSED_MS = 1000;

/** Statuses of nats-server 2.9 to 2.15 (`server/consumer.go`, `server/jetstream.go`). */
export function judgePullStatus({ code, description }: Omit<PullStatus, "pending">): PullVerdict {
  switch (code) {
    case 100:
      return { kind: "alive" };
    case 404:
    case 408:
      return { kind: "again" };
    case 503:
      return { kind: "nobody" };
    case 400:
      return { kind: "lost", reason: description };
    case 409:
      return judgeConflict(description);
    default:
      return { kind: "later", delayMs: REFUSED_MS };
  }
}

function judgeConflict(description: string): PullVerdict {
  if (description.includes("batch completed")) return { kind: "filled" };
  if (description.includes("exceeds maxbytes")) return { kind: "too-small" };
  if (/consumer deleted|stream deleted|push based/.test(description))
    return { kind: "lost", reason: description };
  if (/leadership change|server shutdown/.test(description))
    return { kind: "moved", delayMs: LEADER_CHANGE_MS };
  const limit = /exceeded maxrequest(batch|maxbytes) of (\d+)/.exec(description);
  if (limit !== null) {
    return {
      kind: "limit",
      field: limit[1] === "batch" ? "batch" : "bytes",
      most: Math.max(1, Number(limit[2])),
    };
  }
  if (description.includes("exceeded maxrequestexpires")) return { kind: "limit-expires" };
  return { kind: "later", delayMs: REFUSED_MS };
}

export function readPullStatus(msg: Msg): PullStatus {
  const code = readStatusCode(msg);
  if (code === HEARTBEAT) return ALIVE;
  const { headers } = readHeaderBlock(msg);
  const pending = headers.find(([name]) => name === "Nats-Pending-Messages")?.[1] ?? "";
  return { code, description: readStatusDescription(msg).toLowerCase(), pending: toCount(pending) };
}

const HEARTBEAT = 100;
/** Heartbeats are frequent: skip the parsing. */
const ALIVE: PullStatus = { code: HEARTBEAT, description: "idle heartbeat", pending: null };

function toCount(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) : null;
}
