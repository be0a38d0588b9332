// Stores dead letters: one per message, at the first endpoint of the group that accepts it.

import type { MsgHdrs } from "@nats-io/transport-node";

import { type DeadLetter, letterHeaderForms } from "#delivery/dead-letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import type { Logger } from "#lib/logger.ts";

import type { PubAck } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, isConflict, NO_ANSWER, publishToStream } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { checkDeadLetterStream, makeStream } from "./stream.ts";
import { expectLast, signHeaders, toLetterHeaders } from "./headers.ts";
import { findExcess } from "#nats/message-size.ts";
import { type LetterMessage, readLetterMessage } from "./message.ts";
import type { LetterSigner } from "./signer.ts";
import { settlesWithin } from "#lib/settles-within.ts";

export type StoreResult =
  | { readonly kind: "stored"; readonly endpoint: string }
  /** Too large for every endpoint, even without headers. */
  | { readonly kind: "too-large"; readonly reason: string }
  /** Not possible now; try again later. */
  | { readonly kind: "unavailable"; readonly reason: string };

export interface DeadLetters {
  /**
   * Tries each endpoint once, in order; one that recently did not answer comes last. A letter that is already there counts as
   * stored. `signal` ends the current try: the letter may have been stored anyway. Never rejects.
   */
  store: (letter: DeadLetter, signal: AbortSignal) => Promise<StoreResult>;
  /**
   * True if an endpoint has the letter. False also if the answer takes longer than 2 s, or the endpoint recently did not
   * answer. Never rejects.
   */
  has: (letter: Pick<DeadLetter, "subjectSuffix" | "body">, signal: AbortSignal) => Promise<boolean>;
  /** null: an endpoint accepts letters; else why none does. Creates missing streams with `create`. */
  check: (signal: AbortSignal) => Promise<string | null>;
}

/** The result of publishing to one endpoint. */
type PublishResult =
  | StoreResult
  | { readonly kind: "missing" }
  /** No answer came in time. */
  | { readonly kind: "silent"; readonly reason: string };

const PUBLISH_MS = 5000;
const LOOK_MS = 2000;
/** Together with the check interval, below the 5 s in which readiness must report. */
const CHECK_MS = 3000;
/** A silent endpoint is tried again after this. */
const SILENCE_MS = 10_000;
/** Another client may write to the same subject at the same time. */
const MAX_TRIES = 3;

export function openDeadLetters(
  connection: Connection,
  endpoints: readonly DeadLetterEndpoint[],
  { signer, logger }: { signer: LetterSigner; logger: Logger },
): DeadLetters {
  // Separate: a stream may accept letters while its info requests time out, and vice versa.
  const looks = createSilence(connection);
  const stores = createSilence(connection);
  const isSilent = (endpoint: DeadLetterEndpoint) => looks.isOf(endpoint) || stores.isOf(endpoint);

  async function store(letter: DeadLetter, signal: AbortSignal): Promise<StoreResult> {
    const results: StoreResult[] = [];
    const inOrder = [...endpoints.filter((one) => !isSilent(one)), ...endpoints.filter(isSilent)];
    for (const endpoint of inOrder) {
      const since = performance.now();
      const result = await storeAt(connection, endpoint, { letter, signer, signal });
      if (signal.aborted && result.kind !== "stored") return { kind: "unavailable", reason: "stopped" };
      stores.note(endpoint, { wasInVain: result.kind === "silent", since });
      if (result.kind === "stored") return result;
      logger.debug("Dead letter not stored", { endpoint: endpoint.name, reason: result.reason });
      results.push(result.kind === "silent" ? { ...result, kind: "unavailable" } : result);
    }
    return results.find(({ kind }) => kind === "unavailable") ?? results[0] ?? noEndpoint();
  }

  async function has(
    { subjectSuffix, body }: Pick<DeadLetter, "subjectSuffix" | "body">,
    signal: AbortSignal,
  ): Promise<boolean> {
    await settlesWithin(signer.known(), LOOK_MS, { signal });
    const asked = endpoints
      .filter((endpoint) => !looks.isOf(endpoint))
      .map(async (endpoint) => {
        const since = performance.now();
        const which = { last_by_subj: `${endpoint.subject}.${subjectSuffix}` };
        const read = await readLetterMessage(connection, endpoint, { which, signal, timeoutMs: LOOK_MS });
        const wasInVain = read.kind === "unavailable" && read.reason === NO_ANSWER;
        if (!signal.aborted) looks.note(endpoint, { wasInVain, since });
        return read.kind === "found" && isSame(read.message, { body, signer });
      });
    return (await Promise.all(asked)).includes(true);
  }

  async function check(signal: AbortSignal): Promise<string | null> {
    const reasons = await Promise.all(
      endpoints.map(async (endpoint) => {
        const since = performance.now();
        const fault = await checkDeadLetterStream(connection, endpoint, { signal, timeoutMs: CHECK_MS });
        looks.note(endpoint, { wasInVain: fault?.isSilence ?? false, since });
        return fault?.reason ?? null;
      }),
    );
    return reasons.includes(null) || reasons.length === 0 ? null : reasons.join("; ");
  }

  return { store, has, check };
}

interface Silence {
  isOf: (endpoint: DeadLetterEndpoint) => boolean;
  /** Records the result of a request that began at `since`. */
  note: (endpoint: DeadLetterEndpoint, how: { wasInVain: boolean; since: number }) => void;
}

/** Tracks endpoints that recently let a request time out. */
function createSilence({ lastPongAt }: Connection): Silence {
  const noticedAt = new Map<DeadLetterEndpoint, number>();
  return {
    isOf: (endpoint) =>
      performance.now() - (noticedAt.get(endpoint) ?? Number.NEGATIVE_INFINITY) < SILENCE_MS,
    note(endpoint, { wasInVain, since }) {
      if (!wasInVain) noticedAt.delete(endpoint);
      // If NATS itself did not answer meanwhile, the endpoint is not to blame.
      else if (lastPongAt() >= since) noticedAt.set(endpoint, performance.now());
    },
  };
}

function noEndpoint(): StoreResult {
  return { kind: "unavailable", reason: "no dead-letter endpoint" };
}

interface Storing {
  readonly letter: DeadLetter;
  readonly signer: LetterSigner;
  readonly signal: AbortSignal;
}

async function storeAt(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  storing: Storing,
): Promise<Exclude<PublishResult, { kind: "missing" }>> {
  const first = await storeSmaller(connection, endpoint, storing);
  if (first.kind !== "missing") return first;
  const missing: StoreResult = { kind: "unavailable", reason: about(endpoint, "not found") };
  if (endpoint.create === null) return missing;
  const obstacle = await makeStream(connection, endpoint, {
    settings: endpoint.create,
    signal: storing.signal,
  });
  if (obstacle !== null) return { kind: "unavailable", reason: obstacle };
  const second = await storeSmaller(connection, endpoint, storing);
  return second.kind === "missing" ? missing : second;
}

/** Keeps as many headers as fit. */
async function storeSmaller(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  { letter, signer, signal }: Storing,
): Promise<PublishResult> {
  const subject = `${endpoint.subject}.${letter.subjectSuffix}`;
  const { stream } = endpoint;
  let result: PublishResult = { kind: "too-large", reason: "" };
  for (const form of letterHeaderForms(letter)) {
    const headers = toLetterHeaders(form, stream);
    const isSigned = await signHeaders(headers, { signer, stream, subject, body: letter.body, signal });
    if (!isSigned) return { kind: "unavailable", reason: "stopped" };
    const excess = findExcess(headers, letter.body, connection.maxPayload);
    result =
      excess === null
        ? await publish(connection, endpoint, { letter, signer, headers, signal })
        : { kind: "too-large", reason: about(endpoint, excess) };
    if (result.kind !== "too-large") return result;
  }
  return result;
}

/**
 * On a conflict, reads the message on the subject: it may be the letter itself, a delete marker, or a foreign message. A server
 * in a cluster also refuses a publish while another one is under way.
 */
async function publish(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  { letter, signer, headers, signal }: Storing & { headers: MsgHdrs },
): Promise<PublishResult> {
  const subject = `${endpoint.subject}.${letter.subjectSuffix}`;
  for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
    const options = { payload: letter.body, headers, timeoutMs: PUBLISH_MS, signal };
    const answer = await publishToStream(connection, subject, options);
    if (answer.kind === "nobody") return { kind: "missing" };
    if (!isConflict(answer)) return judge(answer, endpoint);
    const which = { last_by_subj: subject };
    const last = await readLetterMessage(connection, endpoint, { which, signal, timeoutMs: PUBLISH_MS });
    if (last.kind === "unavailable") return toUnavailable(last.reason, endpoint);
    await settlesWithin(signer.known(), PUBLISH_MS, { signal });
    if (last.kind === "found" && isSame(last.message, { body: letter.body, signer }))
      return { kind: "stored", endpoint: endpoint.name };
    expectLast(headers, toSequence(last));
  }
  return { kind: "unavailable", reason: about(endpoint, `another client writes to ${subject}`) };
}

function toSequence(
  last: Exclude<Awaited<ReturnType<typeof readLetterMessage>>, { kind: "unavailable" }>,
): number {
  switch (last.kind) {
    case "found":
      return last.message.sequence;
    case "marker":
      return last.sequence;
    case "missing":
      return 0;
  }
}

/** True if it is this message's letter: a replay changes headers, never the body. A foreign message is none. */
function isSame(found: LetterMessage, { body, signer }: { body: Uint8Array; signer: LetterSigner }): boolean {
  return Buffer.compare(found.body, body) === 0 && signer.isGenuine(found, found.body);
}

function judge(answer: ApiAnswer<PubAck>, endpoint: DeadLetterEndpoint): PublishResult {
  if (answer.kind === "unavailable") return toUnavailable(answer.reason, endpoint);
  if (answer.kind === "refused") {
    const isTooLarge =
      answer.code === API_ERRORS.headersTooLarge || answer.code === API_ERRORS.messageTooLarge;
    return { kind: isTooLarge ? "too-large" : "unavailable", reason: about(endpoint, answer.reason) };
  }
  const { name, stream, domain } = endpoint;
  const { stream: actualStream, domain: actualDomain } = answer.value;
  if (actualStream !== stream || (domain !== null && actualDomain !== undefined && actualDomain !== domain)) {
    const location = actualDomain === undefined ? actualStream : `${actualStream} of domain ${actualDomain}`;
    return { kind: "unavailable", reason: about(endpoint, `the letter was stored in ${location} instead`) };
  }
  return { kind: "stored", endpoint: name };
}

function toUnavailable(reason: string, endpoint: DeadLetterEndpoint): PublishResult {
  return reason === NO_ANSWER
    ? { kind: "silent", reason: about(endpoint, `not stored within ${PUBLISH_MS / 1000} s`) }
    : { kind: "unavailable", reason: about(endpoint, reason) };
}

function about({ stream }: DeadLetterEndpoint, reason: string): string {
  return `Dead-letter stream ${stream}: ${reason}`;
}
