// One request to the JetStream API and what became of it, as a value.
//
// The library's own manager is not used: it gates features by the version of the server it is connected to, which is
// the wrong one where JetStream lives behind a leaf node.

import { NoRespondersError, RequestError } from "@nats-io/transport-node";

import { messageOf } from "#lib/errors.ts";

import type { Connection } from "./connection.ts";

export type ApiAnswer<T> =
  | { readonly kind: "ok"; readonly value: T }
  /** The server said no: `code` is its error code (10059: stream not found). */
  | { readonly kind: "refused"; readonly code: number; readonly reason: string }
  /** Nothing is known: not connected, no answer in time, or JetStream not running there. */
  | { readonly kind: "unavailable"; readonly reason: string };

const API_TIMEOUT_MS = 5000;

/** Error codes of the JetStream API (`server/errors.json` of nats-server). */
export const API_ERRORS = {
  /** Among others: what cannot be changed in place differs. */
  consumerRefused: 10012,
  consumerNameInUse: 10013,
  consumerNotFound: 10014,
  consumerLimitReached: 10026,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  /** More of max ack pending than account, server or stream allow; the reason says how much they do. */
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

/** The part of an error code that says "not now": what HTTP calls 503. */
const STATUS_UNAVAILABLE = 503;

/** `$JS.API`, or where a domain has its own. */
export function apiPrefix(domain: string | null): string {
  return domain === null ? "$JS.API" : `$JS.${domain}.API`;
}

export async function requestApi<T>(
  connection: Connection,
  request: { domain: string | null; call: string; body?: object; timeoutMs?: number },
): Promise<ApiAnswer<T>> {
  const client = connection.client();
  if (client === null || !connection.isConnected)
    return { kind: "unavailable", reason: "not connected to NATS" };
  try {
    const subject = `${apiPrefix(request.domain)}.${request.call}`;
    const payload = request.body === undefined ? "" : JSON.stringify(request.body);
    const timeout = request.timeoutMs ?? API_TIMEOUT_MS;
    const answer = await client.request(subject, payload, { timeout });
    return parseApiAnswer<T>(answer.data);
  } catch (error) {
    return { kind: "unavailable", reason: describeRequestError(error, request.domain) };
  }
}

/** Takes the answer's own word for its shape: it comes from the server's API, whose types `T` describes. */
export function parseApiAnswer<T>(data: Uint8Array): ApiAnswer<T> {
  const parsed = JSON.parse(new TextDecoder().decode(data)) as T & { error?: ApiError };
  const { error } = parsed;
  if (error === undefined) return { kind: "ok", value: parsed };
  const reason = error.description ?? `error ${error.err_code ?? error.code}`;
  if (error.code === STATUS_UNAVAILABLE) return { kind: "unavailable", reason };
  return { kind: "refused", code: error.err_code ?? 0, reason };
}

interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** True if nobody listens on the subject of a request, so that it certainly had no effect. */
export function isNoResponders(error: unknown): boolean {
  return error instanceof NoRespondersError || (error instanceof RequestError && error.isNoResponders());
}

function describeRequestError(error: unknown, domain: string | null): string {
  if (isNoResponders(error)) {
    return domain === null ? "JetStream does not answer" : `JetStream domain ${domain} does not answer`;
  }
  const message = messageOf(error);
  return message === "timeout" ? "no answer from JetStream in time" : message;
}
