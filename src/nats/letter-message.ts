// One entry of a dead-letter stream, whole: asked for by its subject or its sequence, and removed.

import type { StoredLetter } from "#delivery/letter.ts";
import { API_ERRORS, type ApiAnswer, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";
import { parseHeaderBlock } from "./header-block.ts";
import type { StreamRef } from "./stream.ts";

export interface LetterMessage extends StoredLetter {
  readonly body: Uint8Array;
}

export type ReadResult =
  | { readonly kind: "found"; readonly message: LetterMessage }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

export type RemoveResult =
  | { readonly kind: "removed" }
  /** Somebody else was faster. */
  | { readonly kind: "gone" }
  /** Not now, or not in this stream. */
  | { readonly kind: "unavailable"; readonly reason: string };

interface MessageAnswer {
  readonly message: {
    readonly subject: string;
    readonly seq: number;
    readonly time: string;
    readonly hdrs?: string;
    readonly data?: string;
  };
}

/** 8 MiB come as 11 MB of base 64. */
const READ_MS = 15_000;
const NANOS_PER_SECOND = 1_000_000_000n;
const ABSENT: ReadonlySet<number> = new Set([API_ERRORS.messageNotFound, API_ERRORS.streamNotFound]);

export async function readLetterMessage(
  connection: Connection,
  { domain, stream }: StreamRef,
  which: { last_by_subj: string } | { seq: number },
): Promise<ReadResult> {
  const answer = await requestApi<MessageAnswer>(connection, {
    domain,
    call: `STREAM.MSG.GET.${stream}`,
    body: which,
    timeoutMs: READ_MS,
  });
  if (answer.kind !== "ok") return toAbsence(answer);
  const { subject, seq, time, hdrs, data = "" } = answer.value.message;
  const body = new Uint8Array(Buffer.from(data, "base64"));
  const message: LetterMessage = {
    domain,
    stream,
    sequence: seq,
    subject,
    storedAtNanos: parseNanos(time),
    headers: hdrs === undefined ? [] : parseHeaderBlock(Buffer.from(hdrs, "base64")).headers,
    size: body.byteLength,
    body,
  };
  return { kind: "found", message };
}

/**
 * By itself, for a purge of a subject makes consumers of nats-server 2.9 miss what comes next; without overwriting its
 * bytes, which takes far longer.
 */
export async function removeLetterMessage(
  connection: Connection,
  { domain, stream, sequence }: StreamRef & { sequence: number },
): Promise<RemoveResult> {
  const answer = await requestApi(connection, {
    domain,
    call: `STREAM.MSG.DELETE.${stream}`,
    body: { seq: sequence, no_erase: true },
  });
  if (answer.kind === "ok") return { kind: "removed" };
  if (answer.kind === "refused" && answer.code === API_ERRORS.sequenceNotFound) return { kind: "gone" };
  if (answer.kind === "unavailable") return answer;
  // Servers have several words for an entry that is not there.
  const left = await readLetterMessage(connection, { domain, stream }, { seq: sequence });
  return left.kind === "missing" ? { kind: "gone" } : { kind: "unavailable", reason: answer.reason };
}

function toAbsence(answer: Exclude<ApiAnswer<unknown>, { kind: "ok" }>): ReadResult {
  if (answer.kind === "refused" && ABSENT.has(answer.code)) return { kind: "missing" };
  return { kind: "unavailable", reason: answer.reason };
}

/** RFC 3339 with up to nine digits of a second. */
function parseNanos(time: string): bigint {
  const [, seconds = "", fraction = ""] = /^([^.Z]+)(?:\.(\d{1,9}))?Z$/.exec(time) ?? [];
  const whole = Date.parse(`${seconds}Z`) / 1000;
  return Number.isNaN(whole) ? 0n : BigInt(whole) * NANOS_PER_SECOND + BigInt(fraction.padEnd(9, "0"));
}
