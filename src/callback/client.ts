// The HTTP client of a subscription: connection slots, taken by whoever sends, the last one used first.

import type { Dispatcher } from "undici/index.js";
import type { Message } from "#delivery/message.ts";
import { type Exception, type Outcome, toOutcome } from "#delivery/outcome.ts";
import type { CallbackSettings } from "#delivery/subscription.ts";
import { VERSION } from "#lib/version.ts";
import { type Connection, createConnection } from "./connection.ts";
import { addressOf, createDial } from "./connector.ts";
import { createDeadlines } from "./deadlines.ts";
import { openEarly } from "./early.ts";
import { toException } from "./exception.ts";
import {
  type ExchangeEnd,
  type ResponseHeaders,
  type RunningExchange,
  expireExchange,
  startExchange,
  stopExchange,
} from "./exchange.ts";
import { createRequestBuilder, retryAfterMs } from "./request.ts";

export interface Exchange {
  readonly outcome: Outcome;
  readonly startedAt: Date;
  readonly durationMs: number;
  /** A byte of the request may have left. */
  readonly sent: boolean;
  /** The signal, or `close`, ended it: the outcome is an exception that says nothing about the callback. */
  readonly aborted: boolean;
  readonly resends: number;
  /** Headers of the message that could not be sent. */
  readonly droppedHeaders: number;
  readonly request: {
    readonly method: string;
    /** As it may be shown. */
    readonly url: string;
    /** Name and value in turn. */
    readonly headers: readonly string[];
  };
  /** Null if there was no status. */
  readonly response: {
    /** By lower-case name. */
    readonly headers: ResponseHeaders;
    /** 64 KiB at most. */
    readonly body: Uint8Array;
    readonly truncated: boolean;
  } | null;
}

export interface Callback {
  /**
   * Does whatever can fail before a byte of the request is sent. Null when the connection is up, which the next `send`
   * then uses; the exception if it cannot be had. Takes `readTimeoutMs` at most.
   */
  readonly prepare: (signal: AbortSignal) => Promise<Exception | null>;
  /**
   * One attempt. Never rejects. Ends within `readTimeoutMs`, or at once when `signal` aborts. `mayResend`: a reused
   * connection that breaks before any byte of the response is followed by one more try on a new one.
   */
  readonly send: (
    message: Message,
    options: { readonly mayResend: boolean; readonly signal: AbortSignal },
  ) => Promise<Exchange>;
  readonly stats: CallbackStats;
  /** Waits for the sends in flight, `graceMs` at most, then ends them and all connections. A later `send` is aborted at once. */
  readonly close: (graceMs: number) => Promise<void>;
}

export interface CallbackStats {
  readonly openConnections: number;
  /** Since it was opened. */
  readonly resends: number;
}

/** `connections`: how many sends its caller lets run at once. Nothing is connected before the first one. */
export function openCallback(
  settings: CallbackSettings,
  { connections: maxConnections }: { readonly connections: number },
): Callback {
  const { url, method, displayUrl, readTimeoutMs } = settings;
  const address = addressOf(url);
  const path = url.pathname + url.search;
  const connectionSettings = {
    origin: url.origin,
    dial: createDial({ url, timeoutMs: settings.connectTimeoutMs, tls: {} }),
    idleTimeoutMs: settings.idleTimeoutMs,
  };
  const builder = createRequestBuilder(settings, VERSION);
  const emptyRequest: Dispatcher.DispatchOptions = { path, method, headers: [...builder.fixedHeaders] };
  /** The last one given back is the first one taken, so that those not needed become idle and close. */
  const free: Connection[] = [];
  const connections = new Set<Connection>();
  const inFlight = createDeadlines(readTimeoutMs, onDeadline);
  /** One listener for each signal, not for each send: this is the hot path. */
  const watchedSignals = new WeakSet<AbortSignal>();
  const interrupted = toException("timeout", `Call of ${address} was interrupted`);
  let taken = 0;
  let resends = 0;
  const closing = new AbortController();
  let isClosed = false;
  let onIdle = () => {};

  function take(): Connection {
    taken += 1;
    const known = free.pop();
    if (known !== undefined) return known;
    const connection = createConnection(connectionSettings);
    connections.add(connection);
    return connection;
  }

  function giveBack(connection: Connection): void {
    taken -= 1;
    if (taken === 0) onIdle();
    if (!isClosed && free.length < maxConnections) {
      free.push(connection);
      return;
    }
    connection.drop();
    connections.delete(connection);
  }

  function onDeadline(exchange: RunningExchange): void {
    const what = exchange.isSent ? "complete answer from" : "connection to";
    expireExchange(exchange, toException("timeout", `No ${what} ${address} within ${readTimeoutMs} ms`));
  }

  function watch(signal: AbortSignal): void {
    if (watchedSignals.has(signal)) return;
    watchedSignals.add(signal);
    signal.addEventListener("abort", () => interrupt((exchange) => exchange.settings.signal === signal), {
      once: true,
    });
  }

  function interrupt(isMeant: (exchange: RunningExchange) => boolean): void {
    for (const exchange of inFlight) if (isMeant(exchange)) stopExchange(exchange, interrupted);
  }

  async function prepare(signal: AbortSignal): Promise<Exception | null> {
    if (isClosed || signal.aborted) return interrupted;
    const connection = take();
    const exception = await openEarly(connection, {
      request: emptyRequest,
      address,
      timeoutMs: readTimeoutMs,
      signal: AbortSignal.any([signal, closing.signal]),
    });
    giveBack(connection);
    return exception;
  }

  function send(
    message: Message,
    { mayResend, signal }: { readonly mayResend: boolean; readonly signal: AbortSignal },
  ): Promise<Exchange> {
    const startedAt = new Date();
    const startMs = performance.now();
    const { headers, droppedHeaders } = builder.build(message, startedAt);
    const attempt: Attempt = {
      startedAt,
      startMs,
      droppedHeaders,
      request: { method, url: displayUrl, headers },
    };
    if (isClosed || signal.aborted) {
      const end: ExchangeEnd = { kind: "failed", exception: interrupted };
      return Promise.resolve(toExchange(attempt, { end, isSent: false, isAborted: true, resends: 0 }));
    }
    watch(signal);
    return new Promise((resolve) => {
      const exchange = startExchange({
        connection: take(),
        request: { path, method, headers, body: message.body },
        address,
        mayResend,
        signal,
        onEnd: (end, ended) => {
          inFlight.delete(ended);
          resends += ended.resends;
          giveBack(ended.settings.connection);
          const isAborted = end.kind === "failed" && end.exception === interrupted;
          resolve(toExchange(attempt, { end, isSent: ended.isSent, isAborted, resends: ended.resends }));
        },
      });
      if (!exchange.hasEnded) inFlight.add(exchange);
    });
  }

  async function close(graceMs: number): Promise<void> {
    isClosed = true;
    for (const connection of free.splice(0)) connection.drop();
    if (taken === 0) return inFlight.stop();
    const idle = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      closing.abort();
      interrupt(() => true);
    }, graceMs);
    onIdle = idle.resolve;
    await idle.promise;
    clearTimeout(timer);
    inFlight.stop();
  }

  return {
    prepare,
    send,
    stats: {
      get openConnections() {
        return [...connections].filter((connection) => connection.isOpen).length;
      },
      get resends() {
        return resends;
      },
    },
    close,
  };
}

/** What is known before anything is sent. */
type Attempt = Pick<Exchange, "startedAt" | "droppedHeaders" | "request"> & { readonly startMs: number };

interface Course {
  readonly end: ExchangeEnd;
  readonly isSent: boolean;
  readonly isAborted: boolean;
  readonly resends: number;
}

function toExchange(attempt: Attempt, { end, isSent, isAborted, resends }: Course): Exchange {
  const { startedAt, droppedHeaders, request } = attempt;
  const isAnswered = end.kind === "answered";
  return {
    outcome: isAnswered ? toAnswerOutcome(end) : end.exception,
    startedAt,
    durationMs: performance.now() - attempt.startMs,
    sent: isSent,
    aborted: isAborted,
    resends,
    droppedHeaders,
    request,
    response: isAnswered ? { headers: end.headers, body: end.body, truncated: end.isTruncated } : null,
  };
}

function toAnswerOutcome({ status, headers }: ExchangeEnd & { kind: "answered" }): Outcome {
  const isDelivered = status >= 200 && status < 300;
  return toOutcome(status, isDelivered ? null : retryAfterMs(headers["retry-after"], new Date()));
}
