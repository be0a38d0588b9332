// The dead-letter stream of a replay: reads letters in order, removes them, or replaces them under the same subject.

import type { MsgHdrs } from "@nats-io/transport-node";

import type { Header } from "#delivery/message.ts";
import type { WholeLetter } from "#delivery/replay-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import { createLimiter } from "#lib/limiter.ts";

import type { PubAck, StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, isConflict, publishToStream } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { expectLast, signHeaders, toLetterHeaders } from "./headers.ts";
import { encodedLength, findExcess } from "#nats/message-size.ts";
import {
  type LetterMessage,
  readLetterMessage,
  type ReadResult,
  removeLetterMessage,
  type WhichMessage,
} from "./message.ts";
import type { LetterSigner } from "./signer.ts";
import { requestStreamInfo } from "#nats/stream.ts";

type LetterRead =
  | { readonly kind: "found"; readonly letter: WholeLetter }
  | { readonly kind: "none" }
  | { readonly kind: "unavailable"; readonly reason: string };

type LetterReplaced =
  | { readonly kind: "replaced"; readonly sequence: number }
  /** The letter is no longer the newest message of its subject. */
  | { readonly kind: "gone" }
  | { readonly kind: "too-large"; readonly reason: string }
  /** There is no room: the server would delete other letters. */
  | { readonly kind: "full"; readonly reason: string }
  | { readonly kind: "unavailable"; readonly reason: string };

/** No promise rejects. When `signal` aborts, each call ends at once with an unknown outcome. */
export interface ReplayLetters {
  readonly endpoint: DeadLetterEndpoint;
  /** The stream's last sequence; 0: no stream; null: unknown now. */
  lastSequence: (signal: AbortSignal) => Promise<number | null>;
  /** The first letter at or after `sequence` whose subject matches `filter`. */
  next: (filter: string, sequence: number, signal: AbortSignal) => Promise<LetterRead>;
  newest: (subject: string, signal: AbortSignal) => Promise<LetterRead>;
  at: (sequence: number, signal: AbortSignal) => Promise<LetterRead>;
  /** True if it is certainly gone. */
  remove: (sequence: number, signal: AbortSignal) => Promise<boolean>;
  /** Uses the first of `forms` that fits. Signs a genuine letter again; a foreign one stays unsigned. */
  replace: (
    letter: WholeLetter,
    forms: readonly (readonly Header[])[],
    signal: AbortSignal,
  ) => Promise<LetterReplaced>;
}

const PUBLISH_MS = 5000;
const READ_MS = 10_000;
/** Storage overhead per letter in a file, on top of subject, headers and body; less in memory. */
const RECORD_BYTES = 34;
/** Error codes of a full stream. */
const FULL = /^maximum (bytes|messages) exceeded$/;

export function openReplayLetters(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  signer: LetterSigner,
): ReplayLetters {
  const { stream } = endpoint;
  const full = { kind: "full", reason: `Dead-letter stream ${stream} is full` } as const;
  /** One replacement at a time: two could count on the same room. */
  const replacing = createLimiter(1);

  async function read(which: WhichMessage, signal: AbortSignal): Promise<ReadResult> {
    await signer.known();
    return readLetterMessage(connection, endpoint, { which, signal, timeoutMs: READ_MS });
  }

  async function lastSequence(signal: AbortSignal): Promise<number | null> {
    const answer = await requestStreamInfo(connection, endpoint, { signal });
    if (answer.kind === "refused" && isAbsence(answer.code)) return 0;
    return answer.kind === "ok" ? answer.value.state.last_seq : null;
  }

  async function next(filter: string, sequence: number, signal: AbortSignal): Promise<LetterRead> {
    for (let from = sequence; ;) {
      const result = await read({ seq: from, next_by_subj: filter }, signal);
      if (result.kind !== "marker") return toLetterRead(result, signer);
      // Guards against an endless loop if a server goes backwards.
      if (result.sequence < from) return { kind: "unavailable", reason: "unreadable answer from JetStream" };
      from = result.sequence + 1;
    }
  }

  async function remove(sequence: number, signal: AbortSignal): Promise<boolean> {
    const { kind } = await removeLetterMessage(connection, { ...endpoint, sequence }, signal);
    return kind !== "unavailable";
  }

  async function replace(
    letter: WholeLetter,
    forms: readonly (readonly Header[])[],
    signal: AbortSignal,
  ): Promise<LetterReplaced> {
    if (!(await replacing.acquire(signal))) return { kind: "unavailable", reason: "stopped" };
    try {
      return await replaceInTurn(letter, forms, signal);
    } finally {
      replacing.release();
    }
  }

  async function replaceInTurn(
    letter: WholeLetter,
    forms: readonly (readonly Header[])[],
    signal: AbortSignal,
  ): Promise<LetterReplaced> {
    const answer = await requestStreamInfo(connection, endpoint, { signal });
    if (answer.kind !== "ok") return toFault(answer);
    let result: LetterReplaced = { kind: "too-large", reason: "" };
    for (const form of forms) {
      result = await publish(letter, { form, info: answer.value, signal });
      if (result.kind !== "too-large") break;
    }
    if (result.kind === "replaced" && !isKeepingOne(answer.value)) await remove(letter.sequence, signal);
    return result;
  }

  /**
   * null: there is room. A server before 2.10 accepts a larger letter in a full stream even with discard `new`, because its
   * subject already has a message, and then deletes the oldest letter of the stream. Later servers refuse a letter that does
   * not fit beside its former version.
   */
  async function findFullness(
    letter: WholeLetter,
    { headers, info, signal }: { headers: MsgHdrs; info: StreamInfo; signal: AbortSignal },
  ): Promise<Exclude<LetterReplaced, { kind: "replaced" }> | null> {
    const { max_bytes: maxBytes, max_msgs: maxLetters } = info.config;
    if (!isKeepingOne(info) && maxLetters > 0 && info.state.messages >= maxLetters) return full;
    const content = encodedLength(headers) + letter.body.length;
    const free = maxBytes > 0 ? maxBytes - info.state.bytes : Number.POSITIVE_INFINITY;
    if (content + Buffer.byteLength(letter.subject) + RECORD_BYTES <= free) return null;
    if (!isKeepingOne(info)) return full;
    const former = await read({ seq: letter.sequence }, signal);
    switch (former.kind) {
      case "found":
        return content - contentOf(former.message) <= free ? null : full;
      case "marker":
      case "missing":
        return { kind: "gone" };
      case "unavailable":
        return former;
    }
  }

  async function publish(
    letter: WholeLetter,
    { form, info, signal }: { form: readonly Header[]; info: StreamInfo; signal: AbortSignal },
  ): Promise<LetterReplaced> {
    const headers = toLetterHeaders(form, stream);
    expectLast(headers, letter.sequence);
    const { subject, body } = letter;
    if (letter.isGenuine && !(await signHeaders(headers, { signer, stream, subject, body, signal })))
      return { kind: "unavailable", reason: "stopped" };
    const excess = findExcess(headers, letter.body, connection.maxPayload);
    if (excess !== null) return { kind: "too-large", reason: excess };
    const obstacle = await findFullness(letter, { headers, info, signal });
    if (obstacle !== null) return obstacle;
    const options = { payload: letter.body, headers, timeoutMs: PUBLISH_MS, signal };
    return judge(await publishToStream(connection, letter.subject, options));
  }

  function judge(answer: ApiAnswer<PubAck> | { readonly kind: "nobody" }): LetterReplaced {
    if (answer.kind === "nobody")
      return { kind: "unavailable", reason: `Dead-letter stream ${stream}: not found` };
    if (answer.kind === "ok") {
      const { stream: actual, seq } = answer.value;
      return actual === stream
        ? { kind: "replaced", sequence: seq }
        : { kind: "unavailable", reason: "something else answered" };
    }
    if (FULL.test(answer.reason)) return full;
    if (isConflict(answer)) return { kind: "gone" };
    const isTooLarge =
      answer.kind === "refused" &&
      (answer.code === API_ERRORS.headersTooLarge || answer.code === API_ERRORS.messageTooLarge);
    return { kind: isTooLarge ? "too-large" : "unavailable", reason: answer.reason };
  }

  return {
    endpoint,
    lastSequence,
    next,
    newest: async (subject, signal) => toLetterRead(await read({ last_by_subj: subject }, signal), signer),
    at: async (sequence, signal) => toLetterRead(await read({ seq: sequence }, signal), signer),
    remove,
    replace,
  };
}

function toLetterRead(result: ReadResult, signer: LetterSigner): LetterRead {
  switch (result.kind) {
    case "found": {
      const { message } = result;
      return { kind: "found", letter: { ...message, isGenuine: signer.isGenuine(message, message.body) } };
    }
    case "marker":
    case "missing":
      return { kind: "none" };
    case "unavailable":
      return result;
  }
}

/** A stream that Relay did not create may also keep former messages of a subject. */
function isKeepingOne({ config }: StreamInfo): boolean {
  return config.max_msgs_per_subject === 1;
}

function contentOf({ headerBytes, size }: LetterMessage): number {
  return headerBytes + size;
}

function isAbsence(code: number): boolean {
  return code === API_ERRORS.messageNotFound || code === API_ERRORS.streamNotFound;
}

function toFault(
  answer: Exclude<ApiAnswer<unknown>, { kind: "ok" }>,
): Extract<LetterReplaced, { kind: "gone" | "unavailable" }> {
  return answer.kind === "refused" && isAbsence(answer.code)
    ? { kind: "gone" }
    : { kind: "unavailable", reason: answer.reason };
}
