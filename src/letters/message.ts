// Reads one whole entry of a dead-letter stream, by subject or sequence, and removes it.

import { isDeleteMarker } from "#delivery/message.ts";
import type { WholeLetter } from "#delivery/replay-letter.ts";
import { deletion, type StoredMessage, storedMessage } from "#nats/answers.ts";
import { API_ERRORS, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { parseHeaderBlock } from "#nats/header-block.ts";
import type { StreamRef } from "#nats/stream.ts";

export interface LetterMessage extends Omit<WholeLetter, "isGenuine"> {
  /** Size of the stored header block. */
  readonly headerBytes: number;
}

export type WhichMessage =
  | { readonly last_by_subj: string }
  | { readonly seq: number }
  /** The first message at or after `seq` whose subject matches. */
  | { readonly seq: number; readonly next_by_subj: string };

export type ReadResult =
  | { readonly kind: "found"; readonly message: LetterMessage }
  /** The server's delete marker; it only matters for its sequence. */
  | { readonly kind: "marker"; readonly sequence: number }
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

type RemoveResult =
  | { readonly kind: "removed" }
  /** Another client was faster. */
  | { readonly kind: "gone" }
  /** Not possible now, or not in this stream. */
  | { readonly kind: "unavailable"; readonly reason: string };

/** Long, because a letter of 8 MiB arrives as 11 MB of base64. */
const READ_MS = 15_000;
const NANOS_PER_SECOND = 1_000_000_000n;
const ABSENT: ReadonlySet<number> = new Set([API_ERRORS.messageNotFound, API_ERRORS.streamNotFound]);

/** Never rejects. */
export async function readLetterMessage(
  connection: Connection,
  { domain, stream }: StreamRef,
  { which, signal, timeoutMs = READ_MS }: { which: WhichMessage; signal: AbortSignal; timeoutMs?: number },
): Promise<ReadResult> {
  const call = `STREAM.MSG.GET.${stream}`;
  const request = { domain, call, body: which, schema: storedMessage, timeoutMs, signal };
  const answer = await requestApi(connection, request);
  if (answer.kind === "refused" && ABSENT.has(answer.code)) return { kind: "missing" };
  if (answer.kind !== "ok") return { kind: "unavailable", reason: answer.reason };
  const message = toLetterMessage(answer.value.message, { domain, stream });
  const { headers, size, sequence } = message;
  return isDeleteMarker(headers, size) ? { kind: "marker", sequence } : { kind: "found", message };
}

/**
 * Deletes one message: after a purge of a subject, consumers of nats-server 2.9 miss the next messages. Does not overwrite its
 * bytes, which would take far longer. Never rejects.
 */
export async function removeLetterMessage(
  connection: Connection,
  { domain, stream, sequence }: StreamRef & { sequence: number },
  signal: AbortSignal,
): Promise<RemoveResult> {
  const answer = await requestApi(connection, {
    domain,
    call: `STREAM.MSG.DELETE.${stream}`,
    body: { seq: sequence, no_erase: true },
    schema: deletion,
    signal,
  });
  if (answer.kind === "ok") return { kind: "removed" };
  if (answer.kind === "refused" && answer.code === API_ERRORS.sequenceNotFound) return { kind: "gone" };
  if (answer.kind === "unavailable") return answer;
  // Servers use several error codes for a missing entry.
  const left = await readLetterMessage(connection, { domain, stream }, { which: { seq: sequence }, signal });
  return left.kind === "missing" ? { kind: "gone" } : { kind: "unavailable", reason: answer.reason };
}

function toLetterMessage(
  { subject, seq, time, hdrs, data }: StoredMessage,
  { domain, stream }: StreamRef,
): LetterMessage {
  const block = Buffer.from(hdrs, "base64");
  const { headers, unreadable } =
    block.byteLength === 0 ? { headers: [], unreadable: 0 } : parseHeaderBlock(block);
  const body = new Uint8Array(Buffer.from(data, "base64"));
  return {
    domain,
    stream,
    sequence: seq,
    subject,
    storedAtNanos: parseNanos(time),
    headers,
    unreadableHeaders: unreadable,
    headerBytes: block.byteLength,
    size: body.byteLength,
    body,
  };
}

/** RFC 3339 with up to nine digits of a second. */
function parseNanos(time: string): bigint {
  const [, seconds = "", fraction = ""] = /^([^.Z]+)(?:\.(\d{1,9}))?Z$/.exec(time) ?? [];
  const whole = Date.parse(`${seconds}Z`) / 1000;
  return Number.isNaN(whole) ? 0n : BigInt(whole) * NANOS_PER_SECOND + BigInt(fraction.padEnd(9, "0"));
}
