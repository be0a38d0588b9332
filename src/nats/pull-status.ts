// What the server's answers to a pull mean for the next one. Pure.

import type { Msg } from "@nats-io/transport-node";

import { readHeaderBlock, readStatusCode, readStatusDescription } from "./header-block.ts";

interface PullStatus {
  readonly code: number;
  /** In lower case. */
  readonly description: string;
  /** `Nats-Pending-Messages`: how many of the pull will never come; null: not told. */
  readonly pending: number | null;
}

export type PullVerdict =
  /** A heartbeat: the pull is alive. */
  | { readonly kind: "alive" }
  /** The pull has ended as it should. */
  | { readonly kind: "again" }
  /** All that the pull asked for has been assigned to it. A replicated consumer says so before it sends the messages. */
  | { readonly kind: "filled" }
  /** The next message is larger than what the pull allows, or than what is left of it. */
  | { readonly kind: "too-small" }
  | { readonly kind: "later"; readonly delayMs: number }
  /** Another server leads the consumer: what the former one still sends is not known. */
  | { readonly kind: "moved"; readonly delayMs: number }
  /** The consumer does not allow so much: the next pull asks for this much at most. */
  | { readonly kind: "limit"; readonly field: "batch" | "bytes"; readonly most: number }
  | { readonly kind: "limit-expires" }
  /** Nobody answers pulls of this consumer. */
  | { readonly kind: "nobody" }
  /** No pull can succeed any more. */
  | { readonly kind: "lost"; readonly reason: string };

const LEADER_CHANGE_MS = 50;
const REFUSED_MS = 1000;

/** Of nats-server 2.9 to 2.15 (`server/consumer.go`, `server/jetstream.go`). */
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
/** Of each pump, again and again: nothing more of it is read. */
const ALIVE: PullStatus = { code: HEARTBEAT, description: "idle heartbeat", pending: null };

function toCount(text: string): number | null {
  return /^\d+$/.test(text) ? Number(text) : null;
}
