// Sends one request to the JetStream API, and returns its answer, refusal or failure as a value.
//
// The library's own manager enables features by the version of the connected server, which is the wrong one if JetStream
// runs behind a leaf node.

import * as v from "valibot";

import { apiFailure, type PubAck, pubAck } from "./answers.ts";
import type { Connection } from "./connection.ts";
import type { Reply, RequestOptions } from "./requests.ts";

export type ApiAnswer<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** The server refused: `code` is its error code (10059: stream not found). */
  | { readonly kind: "refused"; readonly code: number; readonly reason: string }
  /** Outcome unknown: not connected, no answer in time, an unreadable one, or no JetStream there. */
  | { readonly kind: "unavailable"; readonly reason: string };

const API_TIMEOUT_MS = 5000;
/** The reason if no answer came in time. */
export const NO_ANSWER = "no answer from JetStream in time";
/** Cuts a reason that another party wrote. */
const MAX_REASON_LENGTH = 300;

/** Error codes of the JetStream API (`server/errors.json` of nats-server). */
export const API_ERRORS = {
  /** Limits of the account, of memory, of storage: may pass. */
  accountResources: 10002,
  memoryResources: 10028,
  storageResources: 10047,
  streamGeneral: 10051,
  /** Among others: the stream is full. */
  streamStoreFailed: 10077,
  tooManyRequests: 10167,
  /** Among others: a field that cannot be updated in place differs. */
  consumerRefused: 10012,
  consumerNameInUse: 10013,
  consumerNotFound: 10014,
  consumerLimitReached: 10026,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  /** `max_ack_pending` above the limit of account, server or stream; the reason names the limit. */
  maxAckPendingTooHigh: 10121,
  consumerExists: 10148,
  consumerMissing: 10149,
  messageNotFound: 10037,
  sequenceNotFound: 10043,
  headersTooLarge: 10097,
  messageTooLarge: 10054,
  wrongLastSequence: 10071,
  wrongLastSequenceUnknown: 10164,
} as const;

/** True if the last message of the subject is not the expected one. */
export function isConflict(answer: { readonly kind: string; readonly code?: number }): boolean {
  const { wrongLastSequence, wrongLastSequenceUnknown } = API_ERRORS;
  return (
    answer.kind === "refused" &&
    (answer.code === wrongLastSequence || answer.code === wrongLastSequenceUnknown)
  );
}

/** Like HTTP's 503: not now. */
const STATUS_UNAVAILABLE = 503;

/** `$JS.API`, or the domain's own prefix. */
export function apiPrefix(domain: string | null): string {
  return domain === null ? "$JS.API" : `$JS.${domain}.API`;
}

/** True if the account may not send this request: it had no effect. */
export function isForbidden({ kind, ...answer }: ApiAnswer<unknown>): boolean {
  return kind === "unavailable" && "reason" in answer && /permissions violation/iu.test(answer.reason);
}

interface ApiRequest<T> {
  readonly domain: string | null;
  readonly call: string;
  /** Schema of the answer. */
  readonly schema: v.GenericSchema<unknown, T>;
  readonly body?: object;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Never rejects. */
export async function requestApi<T>(connection: Connection, request: ApiRequest<T>): Promise<ApiAnswer<T>> {
  const { domain, call, body, schema, timeoutMs = API_TIMEOUT_MS, signal } = request;
  const payload = body === undefined ? "" : JSON.stringify(body);
  const subject = `${apiPrefix(domain)}.${call}`;
  const answer = toAnswer(await connection.request(subject, { payload, timeoutMs, signal }), schema);
  if (answer.kind !== "nobody") return answer;
  const api = domain === null ? "JetStream" : `JetStream domain ${domain}`;
  return { kind: "unavailable", reason: `${api} does not answer` };
}

/** Publishes a message to a stream. `nobody`: no stream has that subject. Never rejects. */
export async function publishToStream(
  connection: Connection,
  subject: string,
  options: RequestOptions,
): Promise<ApiAnswer<PubAck> | { readonly kind: "nobody" }> {
  return toAnswer(await connection.request(subject, options), pubAck);
}

function toAnswer<T>(
  reply: Reply,
  schema: v.GenericSchema<unknown, T>,
): ApiAnswer<T> | { readonly kind: "nobody" } {
  switch (reply.kind) {
    case "answered":
      return parseApiAnswer(reply.data, schema);
    case "nobody":
      return reply;
    case "late":
      return { kind: "unavailable", reason: NO_ANSWER };
    case "failed":
      return { kind: "unavailable", reason: reply.reason };
  }
}

/** Validates the answer: any client that may publish to the inbox can have sent it. */
function parseApiAnswer<T>(data: Uint8Array, schema: v.GenericSchema<unknown, T>): ApiAnswer<T> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return unreadable("it is not JSON");
  }
  if (typeof parsed === "object" && parsed !== null && "error" in parsed) return parseFailure(parsed);
  const result = v.safeParse(schema, parsed, { abortEarly: true });
  return result.success ? { kind: "ok", value: result.output } : unreadable(describeIssue(result.issues[0]));
}

function parseFailure(parsed: object): Exclude<ApiAnswer<never>, { kind: "ok" }> {
  const result = v.safeParse(apiFailure, parsed, { abortEarly: true });
  if (!result.success) return unreadable(describeIssue(result.issues[0]));
  const { code, err_code: errorCode, description } = result.output.error;
  const reason = description?.slice(0, MAX_REASON_LENGTH) ?? `error ${errorCode === 0 ? code : errorCode}`;
  if (code === STATUS_UNAVAILABLE) return { kind: "unavailable", reason };
  return { kind: "refused", code: errorCode, reason };
}

function describeIssue(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue);
  return `${path === null ? "" : `${path}: `}${issue.message}`;
}

function unreadable(reason: string): Extract<ApiAnswer<never>, { kind: "unavailable" }> {
  const text = `unreadable answer from JetStream: ${reason}`.slice(0, MAX_REASON_LENGTH);
  return { kind: "unavailable", reason: text };
}
