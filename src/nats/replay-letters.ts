// A dead-letter stream as a replay works on it: reads letters one after the other, removes them, replaces them in place.

import type { PubAck, StreamInfo } from "@nats-io/jetstream";

import type { Header } from "#delivery/message.ts";
import type { WholeLetter } from "#delivery/replay-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";

import { API_ERRORS, type ApiAnswer, parseApiAnswer, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";
import { parseHeaderBlock } from "./header-block.ts";
import { findExcess, toLetterHeaders } from "./letter-headers.ts";
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

/** Of none of them a promise rejects. */
export function openReplayLetters(connection: Connection, endpoint: DeadLetterEndpoint): ReplayLetters {
  const { domain, stream } = endpoint;
  /** Of each subject: null: not known yet. */
  let keepsOne: boolean | null = null;

  async function read(body: object): Promise<LetterRead> {
    const call = `STREAM.MSG.GET.${stream}`;
    const answer = await requestApi<{ message: RawLetter }>(connection, {
      domain,
      call,
      body,
      timeoutMs: READ_MS,
    });
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
    let result: LetterReplaced = { kind: "too-large", reason: "" };
    for (const form of forms) {
      result = await publish(letter, form);
      if (result.kind !== "too-large") break;
    }
    if (result.kind === "replaced" && !(await isKeepingOne())) await remove(letter.sequence);
    return result;
  }

  /** A stream that Relay did not make may keep the former ones too. */
  async function isKeepingOne(): Promise<boolean> {
    if (keepsOne !== null) return keepsOne;
    const answer: ApiAnswer<StreamInfo> = await requestStreamInfo(connection, endpoint);
    if (answer.kind !== "ok") return false;
    keepsOne = answer.value.config.max_msgs_per_subject === 1;
    return keepsOne;
  }

  async function publish(letter: WholeLetter, form: readonly Header[]): Promise<LetterReplaced> {
    const client = connection.client();
    if (client === null || !connection.isConnected)
      return { kind: "unavailable", reason: "not connected to NATS" };
    const headers = toLetterHeaders(form, stream);
    headers.set("Nats-Expected-Last-Subject-Sequence", String(letter.sequence));
    const excess = findExcess(headers, letter.body, client.info?.max_payload ?? Number.POSITIVE_INFINITY);
    if (excess !== null) return { kind: "too-large", reason: excess };
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
  if (answer.kind === "unavailable") return answer;
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

function isAbsence(code: number): boolean {
  return code === API_ERRORS.messageNotFound || code === API_ERRORS.streamNotFound;
}

function toUnavailable(answer: { readonly reason: string }): LetterRead {
  return { kind: "unavailable", reason: answer.reason };
}
