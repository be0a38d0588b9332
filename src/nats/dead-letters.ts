// Stores dead letters: in the first endpoint of the group that takes one, once for each message, for ever.

import type { PubAck } from "@nats-io/jetstream";

import { type DeadLetter, letterHeaderForms } from "#delivery/dead-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import { API_ERRORS, isNoResponders, parseApiAnswer, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";
import { checkDeadLetterStream, makeStream } from "./dead-letter-stream.ts";
import { findExcess, toLetterHeaders } from "./letter-headers.ts";

export type StoreResult =
  | { readonly kind: "stored"; readonly endpoint: string }
  /** At no endpoint, not even without headers. */
  | { readonly kind: "too-large"; readonly reason: string }
  /** Now; another time it may be taken. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface DeadLetters {
  /** One try at each endpoint, in order. A letter that is stored already is stored. Never rejects. */
  store: (letter: DeadLetter, signal: AbortSignal) => Promise<StoreResult>;
  /** True if some endpoint holds the letter; false also if that cannot be known. */
  has: (subjectSuffix: string) => Promise<boolean>;
  /** null: some endpoint takes letters; else why none does. Makes missing streams where that is wanted. */
  check: () => Promise<string | null>;
}

/** Of one form of a letter at one endpoint. */
type PublishResult = StoreResult | { readonly kind: "missing" };

const PUBLISH_MS = 5000;

export function openDeadLetters(
  connection: Connection,
  endpoints: readonly DeadLetterEndpoint[],
  { logger }: { logger: Logger },
): DeadLetters {
  async function store(letter: DeadLetter, signal: AbortSignal): Promise<StoreResult> {
    const results: StoreResult[] = [];
    for (const endpoint of endpoints) {
      if (signal.aborted) return { kind: "unavailable", reason: "stopped" };
      const result = await storeAt(connection, endpoint, letter);
      if (result.kind === "stored") return result;
      logger.debug("Dead letter not stored", { endpoint: endpoint.name, reason: result.reason });
      results.push(result);
    }
    return results.find(({ kind }) => kind === "unavailable") ?? results[0] ?? noEndpoint();
  }

  async function has(subjectSuffix: string): Promise<boolean> {
    for (const { domain, stream, subject } of endpoints) {
      const call = `STREAM.MSG.GET.${stream}`;
      const body = { last_by_subj: `${subject}.${subjectSuffix}` };
      const answer = await requestApi<object>(connection, { domain, call, body });
      if (answer.kind === "ok") return true;
    }
    return false;
  }

  async function check(): Promise<string | null> {
    const reasons = await Promise.all(
      endpoints.map((endpoint) => checkDeadLetterStream(connection, endpoint)),
    );
    return reasons.includes(null) || reasons.length === 0 ? null : reasons.join("; ");
  }

  return { store, has, check };
}

function noEndpoint(): StoreResult {
  return { kind: "unavailable", reason: "no dead-letter endpoint" };
}

async function storeAt(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  letter: DeadLetter,
): Promise<StoreResult> {
  const first = await storeSmaller(connection, endpoint, letter);
  if (first.kind !== "missing") return first;
  const missing: StoreResult = {
    kind: "unavailable",
    reason: `Dead-letter stream ${endpoint.stream}: not found`,
  };
  if (endpoint.create === null) return missing;
  const obstacle = await makeStream(connection, endpoint, endpoint.create);
  if (obstacle !== null) return { kind: "unavailable", reason: obstacle };
  const second = await storeSmaller(connection, endpoint, letter);
  return second.kind === "missing" ? missing : second;
}

/** With as many of its headers as fit. */
async function storeSmaller(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  letter: DeadLetter,
): Promise<PublishResult> {
  let result: PublishResult = { kind: "too-large", reason: "" };
  for (const form of letterHeaderForms(letter)) {
    const client = connection.client();
    if (client === null || !connection.isConnected)
      return { kind: "unavailable", reason: "not connected to NATS" };
    const headers = toLetterHeaders(form, endpoint.stream);
    const maxPayload = client.info?.max_payload ?? Number.POSITIVE_INFINITY;
    const excess = findExcess(headers, letter.body, maxPayload);
    result =
      excess === null
        ? await publish(connection, endpoint, { letter, headers })
        : { kind: "too-large", reason: `Dead-letter stream ${endpoint.stream}: ${excess}` };
    if (result.kind !== "too-large") return result;
  }
  return result;
}

async function publish(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  { letter, headers }: { letter: DeadLetter; headers: ReturnType<typeof toLetterHeaders> },
): Promise<PublishResult> {
  const client = connection.client();
  if (client === null) return { kind: "unavailable", reason: "not connected to NATS" };
  const subject = `${endpoint.subject}.${letter.subjectSuffix}`;
  try {
    const msg = await client.request(subject, letter.body, { timeout: PUBLISH_MS, headers });
    return judgePubAck(msg.data, endpoint);
  } catch (error) {
    if (isNoResponders(error)) return { kind: "missing" };
    const message = messageOf(error);
    const reason = message === "timeout" ? `not stored within ${PUBLISH_MS / 1000} s` : message;
    return { kind: "unavailable", reason: `Dead-letter stream ${endpoint.stream}: ${reason}` };
  }
}

function judgePubAck(data: Uint8Array, { name, stream, domain }: DeadLetterEndpoint): PublishResult {
  const answer = parseApiAnswer<PubAck>(data);
  const about = `Dead-letter stream ${stream}`;
  if (answer.kind === "unavailable") return { kind: "unavailable", reason: `${about}: ${answer.reason}` };
  if (answer.kind === "refused") {
    switch (answer.code) {
      case API_ERRORS.wrongLastSequence:
      case API_ERRORS.wrongLastSequenceUnknown:
        return { kind: "stored", endpoint: name };
      case API_ERRORS.headersTooLarge:
      case API_ERRORS.messageTooLarge:
        return { kind: "too-large", reason: `${about}: ${answer.reason}` };
      default:
        return { kind: "unavailable", reason: `${about}: ${answer.reason}` };
    }
  }
  const { stream: actualStream, domain: actualDomain } = answer.value as Partial<PubAck>;
  if (actualStream === undefined) return { kind: "unavailable", reason: `${about}: something else answered` };
  if (actualStream !== stream || (domain !== null && actualDomain !== undefined && actualDomain !== domain)) {
    const place = actualDomain === undefined ? actualStream : `${actualStream} of domain ${actualDomain}`;
    return { kind: "unavailable", reason: `${about}: the letter was stored in ${place} instead` };
  }
  return { kind: "stored", endpoint: name };
}
