// A dead-letter stream as a replay works on it: reads letters one after the other, removes them, replaces them in place.

import type { PubAck, StreamInfo } from "@nats-io/jetstream";
import type { MsgHdrs } from "@nats-io/transport-node";

import type { Header } from "#delivery/message.ts";
import type { WholeLetter } from "#delivery/replay-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import { createLimiter } from "#lib/limiter.ts";

import { API_ERRORS, type ApiAnswer, parseApiAnswer, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";
import { parseHeaderBlock } from "./header-block.ts";
import { encodedLength, findExcess, toLetterHeaders } from "./letter-headers.ts";
import { requestStreamInfo } from "./stream.ts";

export type LetterRead =
  | { readonly kind: "found"; readonly letter: WholeLetter }
  | { readonly kind: "none" }
  | { readonly kind: "unavailable"; readonly reason: string };

export type LetterReplaced =
  | { readonly kind: "replaced"; readonly sequence: number }
  /** It is not the newest of its subject any more. */
  | { readonly kind: "gone" }
  | { readonly kind: "too-large"; readonly reason: string }
  /** Others would have to go for it, or parts of its message. */
  | { readonly kind: "full"; readonly reason: string }
  | { readonly kind: "unavailable"; readonly reason: string };

export interface ReplayLetters {
  readonly endpoint: DeadLetterEndpoint;
  /** The last sequence that the stream has given out, 0 where there is no stream. null: not known now. */
  lastSequence: () => Promise<number | null>;
  /** The first letter at or after `sequence` whose subject matches `filter`. */
  next: (filter: string, sequence: number) => Promise<LetterRead>;
  newest: (subject: string) => Promise<LetterRead>;
  at: (sequence: number) => Promise<LetterRead>;
  /** True if it is certainly not there any more. */
  remove: (sequence: number) => Promise<boolean>;
  /** With the first of `forms` that fits. */
  replace: (letter: WholeLetter, forms: readonly (readonly Header[])[]) => Promise<LetterReplaced>;
}

const PUBLISH_MS = 5000;
const READ_MS = 10_000;
const NANOS_PER_MS = 1_000_000n;
/** Beside subject, headers and body, of a letter in a file; in memory less. */
const RECORD_BYTES = 34;
/** How servers refuse what a stream has no room for. */
const FULL = /^maximum (bytes|messages) exceeded$/;

/** Of none of them a promise rejects. */
export function openReplayLetters(connection: Connection, endpoint: DeadLetterEndpoint): ReplayLetters {
  const { domain, stream } = endpoint;
  /** Two at once could take the same room. */
  const replacing = createLimiter(1);
  /** Each that goes before has limits of its own. */
  const { signal: never } = new AbortController();

  function readRaw(body: object): Promise<ApiAnswer<{ message: RawLetter }>> {
    return requestApi(connection, { domain, call: `STREAM.MSG.GET.${stream}`, body, timeoutMs: READ_MS });
  }

  async function read(body: object): Promise<LetterRead> {
    const answer = await readRaw(body);
    if (answer.kind === "ok") return { kind: "found", letter: toWholeLetter(answer.value.message, endpoint) };
    return answer.kind === "refused" && isAbsence(answer.code) ? { kind: "none" } : toUnavailable(answer);
  }

  async function lastSequence(): Promise<number | null> {
    const answer: ApiAnswer<StreamInfo> = await requestStreamInfo(connection, endpoint);
    if (answer.kind === "refused" && isAbsence(answer.code)) return 0;
    return answer.kind === "ok" ? answer.value.state.last_seq : null;
  }

  async function remove(sequence: number): Promise<boolean> {
    const call = `STREAM.MSG.DELETE.${stream}`;
    const body = { seq: sequence, no_erase: true };
    const answer = await requestApi<object>(connection, { domain, call, body });
    if (answer.kind === "ok") return true;
    if (answer.kind === "unavailable") return false;
    return (await read({ seq: sequence })).kind === "none";
  }

  async function replace(
    letter: WholeLetter,
    forms: readonly (readonly Header[])[],
  ): Promise<LetterReplaced> {
    await replacing.acquire(never);
    try {
      return await replaceInTurn(letter, forms);
    } finally {
      replacing.release();
    }
  }

  async function replaceInTurn(
    letter: WholeLetter,
    forms: readonly (readonly Header[])[],
  ): Promise<LetterReplaced> {
    const answer = await requestStreamInfo(connection, endpoint);
    if (answer.kind !== "ok") return toFault(answer);
    let result: LetterReplaced = { kind: "too-large", reason: "" };
    for (const form of forms) {
      result = await publish(letter, { form, info: answer.value });
      if (result.kind !== "too-large") break;
    }
    if (result.kind === "replaced" && !isKeepingOne(answer.value)) await remove(letter.sequence);
    return result;
  }

  /**
   * Null: there is room. A server (2.9) takes the larger letter although the stream discards new ones, because its
   * subject has its one already, and then makes room: the oldest letter goes, whoever's it is.
   */
  async function findFullness(
    letter: WholeLetter,
    { headers, info }: { headers: MsgHdrs; info: StreamInfo },
  ): Promise<Exclude<LetterReplaced, { kind: "replaced" }> | null> {
    const { max_bytes: maxBytes, max_msgs: maxLetters } = info.config;
    const full = { kind: "full", reason: `Dead-letter stream ${stream} is full` } as const;
    if (!isKeepingOne(info) && maxLetters > 0 && info.state.messages >= maxLetters) return full;
    const content = encodedLength(headers) + letter.body.length;
    const free = maxBytes > 0 ? maxBytes - info.state.bytes : Number.POSITIVE_INFINITY;
    if (content + Buffer.byteLength(letter.subject) + RECORD_BYTES <= free) return null;
    if (!isKeepingOne(info)) return full;
    const former = await readRaw({ seq: letter.sequence });
    if (former.kind !== "ok") return toFault(former);
    return content - contentOf(former.value.message) <= free ? null : full;
  }

  async function publish(
    letter: WholeLetter,
    { form, info }: { form: readonly Header[]; info: StreamInfo },
  ): Promise<LetterReplaced> {
    const client = connection.client();
    if (client === null || !connection.isConnected)
      return { kind: "unavailable", reason: "not connected to NATS" };
    const headers = toLetterHeaders(form, stream);
    headers.set("Nats-Expected-Last-Subject-Sequence", String(letter.sequence));
    const excess = findExcess(headers, letter.body, client.info?.max_payload ?? Number.POSITIVE_INFINITY);
    if (excess !== null) return { kind: "too-large", reason: excess };
    const obstacle = await findFullness(letter, { headers, info });
    if (obstacle !== null) return obstacle;
    try {
      const msg = await client.request(letter.subject, letter.body, { timeout: PUBLISH_MS, headers });
      return judge(parseApiAnswer<PubAck>(msg.data), stream);
    } catch (error) {
      return { kind: "unavailable", reason: messageOf(error) };
    }
  }

  return {
    endpoint,
    lastSequence,
    next: (filter, sequence) => read({ seq: sequence, next_by_subj: filter }),
    newest: (subject) => read({ last_by_subj: subject }),
    at: (sequence) => read({ seq: sequence }),
    remove,
    replace,
  };
}

function judge(answer: ApiAnswer<PubAck>, stream: string): LetterReplaced {
  if (answer.kind === "unavailable")
    return FULL.test(answer.reason) ? { kind: "full", reason: answer.reason } : answer;
  if (answer.kind === "ok") {
    const { stream: actual, seq } = answer.value as Partial<PubAck>;
    if (actual === stream && seq !== undefined) return { kind: "replaced", sequence: seq };
    return { kind: "unavailable", reason: "something else answered" };
  }
  switch (answer.code) {
    case API_ERRORS.wrongLastSequence:
    case API_ERRORS.wrongLastSequenceUnknown:
      return { kind: "gone" };
    case API_ERRORS.headersTooLarge:
    case API_ERRORS.messageTooLarge:
      return { kind: "too-large", reason: answer.reason };
    default:
      return { kind: "unavailable", reason: answer.reason };
  }
}

interface RawLetter {
  readonly subject: string;
  readonly seq: number;
  /** RFC 3339. */
  readonly time: string;
  /** Both in base 64. */
  readonly hdrs?: string;
  readonly data?: string;
}

function toWholeLetter(
  { subject, seq, time, hdrs, data }: RawLetter,
  { domain, stream }: DeadLetterEndpoint,
): WholeLetter {
  const { headers, unreadable } =
    hdrs === undefined ? { headers: [], unreadable: 0 } : parseHeaderBlock(Buffer.from(hdrs, "base64"));
  const body = Buffer.from(data ?? "", "base64");
  return {
    domain,
    stream,
    sequence: seq,
    subject,
    storedAtNanos: BigInt(Date.parse(time)) * NANOS_PER_MS,
    headers,
    size: body.length,
    unreadableHeaders: unreadable,
    body,
  };
}

/** A stream that Relay did not make may keep the former ones of a subject too. */
function isKeepingOne({ config }: StreamInfo): boolean {
  return config.max_msgs_per_subject === 1;
}

function contentOf({ hdrs = "", data = "" }: RawLetter): number {
  return Buffer.byteLength(hdrs, "base64") + Buffer.byteLength(data, "base64");
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

function toUnavailable(answer: { readonly reason: string }): LetterRead {
  return { kind: "unavailable", reason: answer.reason };
}
