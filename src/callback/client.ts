// The HTTP client of a subscription: sends messages within the read timeout, until it is closed.

import type { CallbackSettings } from "#delivery/callback.ts";
import type { Exchange } from "#delivery/exchange.ts";
import type { Message } from "#delivery/message.ts";
import type { Exception, Outcome } from "#delivery/outcome.ts";
import type { Responses } from "#delivery/responses.ts";
import { proxyFor } from "#delivery/proxy.ts";
import { createMask, type Mask } from "#lib/mask.ts";
import type { RequestParts } from "#delivery/shape.ts";
import { VERSION } from "#lib/version.ts";
import { toAnswerOutcome } from "./answer.ts";
import { hideCredentials, withAuthorization } from "./authorization.ts";
import { addressOf, createDial, type OnDenied } from "./connector.ts";
import { createDeadlines } from "./deadlines.ts";
import { toException } from "./exception.ts";
import { toErrorExcerpt } from "./excerpt.ts";
import type { ExchangeEnd } from "./exchange.ts";
import {
  preconnect,
  expireSending,
  type Prefixes,
  type SendContext,
  type Sending,
  startSending,
  stopSending,
} from "./sending.ts";
import { createRequestBuilder, type RequestAdditions } from "./request.ts";
import { readHeaderLines, toRequestPrefix } from "./request-writer.ts";
import { createSlots } from "./slots.ts";
import { toShownUrl, toTarget } from "./target.ts";
import { createTokenSource } from "./token-source.ts";

export interface Callback {
  /**
   * Does everything that can fail before a byte of the request is sent. Resolves with null once an access token, if one is
   * needed, and an unused connection for the next `send` without resending are ready; else with the exception. Takes
   * `readTimeoutMs` at most. Call it while another send is in flight to hide the cost of connecting.
   */
  readonly prepare: (signal: AbortSignal) => Promise<Exception | null>;
  /**
   * One attempt. Never rejects. Ends within `readTimeoutMs`, or at once when `signal` aborts. `mayResend`: if a reused
   * connection breaks before the first byte of the answer, the request is sent once more on a new one, and once more with a
   * new token after a 401. Without it no connection is reused: the peer may be closing it.
   */
  readonly send: (message: Message, options: SendOptions) => Promise<Exchange>;
  /** The request that `send` would make, without an access token that has to be fetched; credentials are hidden. */
  readonly preview: (message: Message, parts: RequestParts | null) => Exchange["request"];
  readonly stats: CallbackStats;
  /** Waits up to `graceMs` for the sends in flight, then aborts them and closes all connections. Aborts each later `send` at once. */
  readonly close: (graceMs: number) => Promise<void>;
}

interface SendOptions extends RequestAdditions {
  readonly mayResend: boolean;
  readonly signal: AbortSignal;
}

interface CallbackStats {
  readonly openConnections: number;
  /** Count since the client was opened. */
  readonly resends: number;
}

/** `connections`: how many sends the caller runs at once. Connects to nothing before the first send. */
export function openCallback(
  settings: CallbackSettings,
  { connections: maxFree, onDenied }: { readonly connections: number; readonly onDenied?: OnDenied },
): Callback {
  const { url, method, displayUrl, route, readTimeoutMs, idleTimeoutMs } = settings;
  const address = addressOf(url);
  const slots = createSlots({
    dial: createDial({ url, route, onDenied }),
    address,
    idleTimeoutMs,
    maxAgeMs: MAX_AGE_MS,
    maxFree,
  });
  const builder = createRequestBuilder(settings, VERSION);
  const proxy = proxyFor(url, route.proxy);
  const target = toTarget(url, proxy);
  const host = builder.hasHost ? null : url.host;
  const prefixes = toPrefixes(null);
  const shown: ShownTarget = { method, url: displayUrl };
  const context: SendContext = {
    target,
    address,
    slots,
    tokens: createTokenSource(settings, onDenied),
    limitMs: readTimeoutMs,
  };
  const unsendable = builder.isSendable
    ? null
    : toException(
        "reset",
        `Cannot call ${address}: its Authorization has characters that no header can hold`,
      );
  const maskOf = createAnswerMask(settings.secrets);
  const hiddenNames = new Set(
    settings.headers
      .filter(([, value]) => settings.secrets.includes(value))
      .map(([name]) => name.toLowerCase()),
  );
  const inFlight = createDeadlines(readTimeoutMs, expireSending);
  /** One listener for each signal, not for each send: this is the hot path. */
  const watchedSignals = new WeakSet<AbortSignal>();
  const interrupted = toException("timeout", `Call of ${address} was interrupted`);
  const closing = new AbortController();
  /** Sends and preparations in progress. */
  let busy = 0;
  let resends = 0;
  let isClosed = false;
  let onIdle = () => {};

  function toPrefixes(parts: RequestParts | null): Prefixes {
    const shaped = parts === null ? target : toTarget(url, proxy, parts);
    const common = { method: parts?.method ?? method, target: shaped, host };
    return {
      kept: toRequestPrefix({ ...common, isKept: true }),
      own: toRequestPrefix({ ...common, isKept: false }),
    };
  }

  function shownOf(parts: RequestParts | null): ShownTarget {
    if (parts === null) return shown;
    return { method: parts.method ?? method, url: toShownUrl(displayUrl, parts) };
  }

  function leave(): void {
    busy -= 1;
    if (busy === 0) onIdle();
  }

  function watch(signal: AbortSignal): void {
    if (watchedSignals.has(signal)) return;
    watchedSignals.add(signal);
    signal.addEventListener("abort", () => interrupt((sending) => sending.settings.signal === signal), {
      once: true,
    });
  }

  function interrupt(isMeant: (sending: Sending) => boolean): void {
    for (const sending of inFlight) if (isMeant(sending)) stopSending(sending, interrupted);
  }

  async function prepare(signal: AbortSignal): Promise<Exception | null> {
    if (isClosed || signal.aborted) return interrupted;
    if (unsendable !== null) return unsendable;
    busy += 1;
    const exception = await preconnect(context, AbortSignal.any([signal, closing.signal]));
    leave();
    return exception;
  }

  function send(message: Message, options: SendOptions): Promise<Exchange> {
    const { mayResend, signal, parts = null } = options;
    const startedAt = new Date();
    const startMs = performance.now();
    const { lines, droppedHeaders } = builder.build(message, startedAt, options);
    const attempt: Attempt = {
      startedAt,
      startMs,
      droppedHeaders,
      lines,
      hiddenNames,
      shown: shownOf(parts),
      maskOf,
      keepsExcerpt: settings.errorExcerpt,
      responses: settings.responses,
    };
    const isAborted = isClosed || signal.aborted;
    const exception = isAborted ? interrupted : unsendable;
    if (exception !== null) {
      const end: ExchangeEnd = { kind: "failed", exception };
      return Promise.resolve(toExchange(attempt, { end, isAborted, sending: null }));
    }
    watch(signal);
    busy += 1;
    let place: number | null = null;
    return new Promise((resolve) => {
      const sending = startSending({
        context,
        prefixes: parts === null ? prefixes : toPrefixes(parts),
        lines,
        body: parts === null ? message.body : parts.body,
        mayResend,
        signal,
        onEnd: (end, ended) => {
          if (place !== null) inFlight.remove(place);
          resends += ended.resends;
          leave();
          const wasInterrupted = end.kind === "failed" && end.exception === interrupted;
          resolve(toExchange(attempt, { end, isAborted: wasInterrupted, sending: ended }));
        },
      });
      if (!sending.hasEnded) place = inFlight.add(sending);
    });
  }

  function preview(message: Message, parts: RequestParts | null): Exchange["request"] {
    const { lines } = builder.build(message, new Date(), { parts });
    return { ...shownOf(parts), headers: hideCredentials(readHeaderLines(lines), hiddenNames) };
  }

  async function close(graceMs: number): Promise<void> {
    isClosed = true;
    slots.close();
    if (busy > 0) await endWithin(graceMs);
    slots.abandon();
    inFlight.stop();
    context.tokens?.close();
  }

  async function endWithin(graceMs: number): Promise<void> {
    const idle = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      closing.abort();
      interrupt(() => true);
    }, graceMs);
    onIdle = idle.resolve;
    await idle.promise;
    clearTimeout(timer);
  }

  return {
    prepare,
    send,
    preview,
    stats: {
      get openConnections() {
        return slots.openConnections;
      },
      get resends() {
        return resends;
      },
    },
    close,
  };
}

/** Limits the age of a connection, so that a host name is resolved again from time to time. */
const MAX_AGE_MS = 600_000;

type AnswerMask = (tokens: readonly string[]) => Mask;

const NO_TOKENS: readonly string[] = [];

/** Called on the hot path: reuses the mask while the tokens stay the same. Each answer keeps the mask that it got. */
function createAnswerMask(secrets: readonly string[]): AnswerMask {
  let known = NO_TOKENS;
  let mask = createMask(secrets);
  return (tokens) => {
    if (tokens !== known) {
      known = tokens;
      mask = createMask([...secrets, ...tokens]);
    }
    return mask;
  };
}

type ShownTarget = Pick<Exchange["request"], "method" | "url">;

/** The exchange when nothing was sent. */
interface Attempt {
  readonly startedAt: Date;
  readonly startMs: number;
  readonly shown: ShownTarget;
  readonly lines: string;
  readonly hiddenNames: ReadonlySet<string>;
  readonly droppedHeaders: number;
  readonly maskOf: AnswerMask;
  readonly keepsExcerpt: boolean;
  readonly responses: Responses;
}

interface Course {
  readonly end: ExchangeEnd;
  readonly isAborted: boolean;
  /** null: no exchange was started. */
  readonly sending: Sending | null;
}

function toExchange(attempt: Attempt, { end, isAborted, sending }: Course): Exchange {
  const isAnswered = end.kind === "answered";
  const token = sending?.token ?? null;
  const mask = attempt.maskOf(sending?.settings.context.tokens?.recent() ?? NO_TOKENS);
  const outcome = isAnswered ? toAnswerOutcome(end, new Date(), attempt.responses) : end.exception;
  return {
    outcome: isAnswered && attempt.keepsExcerpt ? withExcerpt(outcome, end, mask) : outcome,
    startedAt: attempt.startedAt,
    durationMs: performance.now() - attempt.startMs,
    sent: sending?.isSent ?? false,
    aborted: isAborted,
    resends: sending?.resends ?? 0,
    droppedHeaders: attempt.droppedHeaders,
    request: {
      method: attempt.shown.method,
      url: attempt.shown.url,
      // Computed on demand: few requests are looked at.
      get headers() {
        const sent = token === null ? attempt.lines : withAuthorization(attempt.lines, token);
        return hideCredentials(readHeaderLines(sent), attempt.hiddenNames);
      },
    },
    response: isAnswered
      ? {
          get headers() {
            return end.headers;
          },
          body: end.body,
          truncated: end.isTruncated,
        }
      : null,
    mask,
  };
}

type Answered = Extract<ExchangeEnd, { kind: "answered" }>;

/** Adds an excerpt of the answer to the error of a failure. */
function withExcerpt(outcome: Outcome, answer: Answered, mask: Mask): Outcome {
  if (outcome.kind !== "rejected" && outcome.kind !== "server-error") return outcome;
  const contentType = String(answer.headers["content-type"] ?? "");
  const excerpt = toErrorExcerpt(answer.body, { contentType, mask });
  return excerpt === null ? outcome : { ...outcome, excerpt };
}
