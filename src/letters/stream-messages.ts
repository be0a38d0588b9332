// Reads messages of a source stream by sequence, for a resend: without a consumer, and without changing anything.

import type { Message } from "#delivery/message.ts";
import { RelayError } from "#lib/errors.ts";
import { type StreamInfo, streamInfo } from "#nats/answers.ts";
import { API_ERRORS, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { requestStreamInfo, type StreamRef } from "#nats/stream.ts";
import { readLetterMessage } from "./message.ts";

export type StreamRead =
  | {
      readonly kind: "found";
      readonly sequence: number;
      readonly timestampNanos: bigint;
      /** null: a delete marker of the server. */
      readonly message: Message | null;
    }
  | { readonly kind: "none" }
  | { readonly kind: "unavailable"; readonly reason: string };

/** No promise rejects. When `signal` aborts, each call ends at once with an unknown outcome. */
export interface StreamMessages {
  /** 0: no stream, or it never had a message. null: unknown now. */
  readonly lastSequence: (signal: AbortSignal) => Promise<number | null>;
  /** The first message at or after `sequence` whose subject matches `filter`. */
  readonly next: (filter: string, sequence: number, signal: AbortSignal) => Promise<StreamRead>;
  /** Counts the sequences in this range, both ends inclusive, whose message is gone. null: unknown now. */
  readonly countMissing: (from: number, to: number, signal: AbortSignal) => Promise<number | null>;
}

/** null: the stream has no such message. Rejects with a RelayError `nats-unavailable` after 10 s. */
export async function readStreamMessage(
  connection: Connection,
  ref: StreamRef,
  sequence: number,
): Promise<Message | null> {
  const { next } = openStreamMessages(connection, ref);
  const read = await next(">", sequence, AbortSignal.timeout(READ_MS));
  if (read.kind === "unavailable") throw new RelayError("nats-unavailable", read.reason);
  return read.kind === "found" && read.sequence === sequence ? read.message : null;
}

const READ_MS = 10_000;
/** With more deleted messages, their list would be too long: then only those before the first one are counted. */
const MAX_LISTED = 10_000;

export function openStreamMessages(connection: Connection, ref: StreamRef): StreamMessages {
  async function next(filter: string, sequence: number, signal: AbortSignal): Promise<StreamRead> {
    const which = { seq: sequence, next_by_subj: filter };
    const result = await readLetterMessage(connection, ref, { which, signal, timeoutMs: READ_MS });
    switch (result.kind) {
      case "missing":
        return { kind: "none" };
      case "unavailable":
        return result;
      case "marker":
        if (result.sequence < sequence) return UNREADABLE;
        return { kind: "found", sequence: result.sequence, timestampNanos: 0n, message: null };
      case "found": {
        const { subject, headers, unreadableHeaders, body, storedAtNanos } = result.message;
        // Guards against an endless loop if a server goes backwards.
        if (result.message.sequence < sequence) return UNREADABLE;
        const message: Message = {
          stream: ref.stream,
          sequence: result.message.sequence,
          subject,
          timestampNanos: storedAtNanos,
          deliveryCount: 1,
          headers,
          unreadableHeaders,
          body,
        };
        return { kind: "found", sequence: message.sequence, timestampNanos: storedAtNanos, message };
      }
    }
  }

  async function readInfo(signal: AbortSignal): Promise<StreamInfo | "none" | null> {
    const answer = await requestStreamInfo(connection, ref, { signal });
    if (answer.kind === "ok") return answer.value;
    return answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound ? "none" : null;
  }

  async function countMissing(from: number, to: number, signal: AbortSignal): Promise<number | null> {
    const info = await readInfo(signal);
    if (info === null || info === "none") return info === null ? null : to - from + 1;
    const { first_seq: first, last_seq: last, num_deleted: deleted = 0 } = info.state;
    const before = Math.max(0, Math.min(to, first - 1) - from + 1);
    const after = Math.max(0, to - Math.max(from - 1, last, first - 1));
    if (deleted === 0 || deleted > MAX_LISTED) return before + after;
    const call = `STREAM.INFO.${ref.stream}`;
    const body = { deleted_details: true };
    const answer = await requestApi(connection, {
      domain: ref.domain,
      call,
      body,
      schema: streamInfo,
      signal,
    });
    if (answer.kind !== "ok") return null;
    const listed = answer.value.state.deleted ?? [];
    const start = Math.max(from, first);
    return before + after + listed.filter((sequence) => sequence >= start && sequence <= to).length;
  }

  return {
    async lastSequence(signal) {
      const info = await readInfo(signal);
      return info === "none" ? 0 : (info?.state.last_seq ?? null);
    },
    next,
    countMissing,
  };
}

const UNREADABLE = { kind: "unavailable", reason: "unreadable answer from JetStream" } as const;
