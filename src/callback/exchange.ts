// One request and its answer over one connection: ends once, at the latest when it is stopped.

import type { Dispatcher } from "undici/index.js";

import type { Exception } from "#delivery/outcome.ts";
import type { Connection } from "./connection.ts";
import { isBreak, toException, toExchangeException } from "./exception.ts";

export type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export type ExchangeEnd =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: ResponseHeaders;
      readonly body: Uint8Array;
      /** True if there was, or should have been, more of the body. */
      readonly isTruncated: boolean;
    }
  | { readonly kind: "failed"; readonly exception: Exception };

export interface ExchangeSettings {
  readonly connection: Connection;
  readonly request: Dispatcher.DispatchOptions;
  /** Host and port, for messages. */
  readonly address: string;
  /** If a connection used before breaks before any byte of the answer, the request is sent once more on a new one. */
  readonly mayResend: boolean;
  /** A proxy hands the request on: the answer may be its own. */
  readonly isForwarded: boolean;
  /** Called once, maybe before `startExchange` returns. */
  readonly onEnd: (end: ExchangeEnd, exchange: RunningExchange) => void;
}

/** Written to in this file only. */
export interface RunningExchange {
  readonly settings: ExchangeSettings;
  /** A byte of the request may have left. */
  isSent: boolean;
  resends: number;
  hasEnded: boolean;
  /** Once undici writes the request. */
  controller: Dispatcher.DispatchController | null;
  /** The connection's count when the request was handed over. */
  dialsBefore: number;
  /** A byte of the answer was seen. */
  hasBegun: boolean;
  status: number;
  headers: ResponseHeaders;
  chunks: Uint8Array[] | null;
  bytes: number;
}

const MAX_BODY_BYTES = 64 * 1024;
/** Of all statuses the one that cannot be the callback's. */
const PROXY_AUTHENTICATION_REQUIRED = 407;
const NO_HEADERS: ResponseHeaders = {};
const NO_BODY = new Uint8Array(0);
const STOPPED = new Error("Exchange has ended");

/** On the hot path: state in one object and shared functions, few closures per request. */
export function startExchange(settings: ExchangeSettings): RunningExchange {
  const exchange: RunningExchange = {
    settings,
    isSent: false,
    resends: 0,
    hasEnded: false,
    controller: null,
    dialsBefore: 0,
    hasBegun: false,
    status: 0,
    headers: NO_HEADERS,
    chunks: null,
    bytes: 0,
  };
  dispatch(exchange);
  return exchange;
}

/** Ends it with `exception`; what has not been sent never is. Without effect once it has ended. */
export function stopExchange(exchange: RunningExchange, exception: Exception): void {
  if (exchange.hasEnded) return;
  exchange.hasEnded = true;
  // A request that waits for its connection cannot be taken back from undici: the connection is dropped with it.
  if (exchange.controller === null) exchange.settings.connection.drop();
  else exchange.controller.abort(STOPPED);
  end(exchange, { kind: "failed", exception });
}

/** Its time is over. What has a status other than 2xx keeps it, though its body never ended; anything else is `exception`. */
export function expireExchange(exchange: RunningExchange, exception: Exception): void {
  if (exchange.hasEnded) return;
  if (exchange.status < 300 || exchange.controller === null) return stopExchange(exchange, exception);
  exchange.hasEnded = true;
  exchange.controller.abort(STOPPED);
  answer(exchange, true);
}

function end(exchange: RunningExchange, result: ExchangeEnd): void {
  exchange.hasEnded = true;
  exchange.settings.onEnd(result, exchange);
}

function answer(exchange: RunningExchange, isTruncated: boolean): void {
  const { status, headers, chunks } = exchange;
  const { isForwarded, address } = exchange.settings;
  if (isForwarded && status === PROXY_AUTHENTICATION_REQUIRED) {
    const exception = toException("proxy", `Cannot reach ${address}: the proxy asks for other credentials`);
    return end(exchange, { kind: "failed", exception });
  }
  end(exchange, { kind: "answered", status, headers, body: joinChunks(chunks), isTruncated });
}

function dispatch(exchange: RunningExchange): void {
  if (exchange.hasEnded) return;
  const { connection, request } = exchange.settings;
  exchange.controller = null;
  exchange.dialsBefore = connection.dials;
  connection.dispatch(request, {
    onRequestStart: (controller) => {
      if (exchange.hasEnded) throw STOPPED;
      exchange.controller = controller;
      exchange.isSent = true;
    },
    onResponseStarted: () => {
      exchange.hasBegun = true;
    },
    // Interim answers come here too; the final one takes their place.
    onResponseStart: (_controller, status, headers) => {
      exchange.status = status;
      exchange.headers = headers;
    },
    onResponseData: (controller, chunk) => takeChunk(exchange, chunk, controller),
    onResponseEnd: () => {
      if (!exchange.hasEnded) answer(exchange, false);
    },
    onResponseError: (_controller, error) => {
      if (!exchange.hasEnded) fail(exchange, error);
    },
  });
}

function takeChunk(
  exchange: RunningExchange,
  chunk: Uint8Array,
  controller: Dispatcher.DispatchController,
): void {
  if (exchange.hasEnded) return;
  const room = MAX_BODY_BYTES - exchange.bytes;
  exchange.bytes += chunk.length;
  exchange.chunks ??= [];
  exchange.chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
  if (chunk.length <= room) return;
  // Not from within undici's parser, and before the connection can be given to another request.
  queueMicrotask(() => controller.abort(STOPPED));
  answer(exchange, true);
}

function fail(exchange: RunningExchange, error: Error): void {
  if (isToBeSentAgain(exchange, error)) {
    if (exchange.isSent) exchange.resends += 1;
    queueMicrotask(() => dispatch(exchange));
    return;
  }
  // The callback has said no: that its connection broke afterwards, as after an early 413, takes nothing back.
  if (exchange.status >= 300 && isBreak(error)) {
    answer(exchange, true);
    return;
  }
  end(exchange, { kind: "failed", exception: toExchangeException(error, exchange.settings.address) });
}

/**
 * At most once: the second time goes over a new connection. What has not been sent may be sent under any guarantee.
 */
function isToBeSentAgain(exchange: RunningExchange, error: Error): boolean {
  const { connection, mayResend } = exchange.settings;
  const wasReused = connection.dials === exchange.dialsBefore;
  const mayGoAgain = mayResend || !exchange.isSent;
  return wasReused && mayGoAgain && !exchange.hasBegun && isBreak(error);
}

/** A copy: the chunks are views of larger buffers. */
function joinChunks(chunks: readonly Uint8Array[] | null): Uint8Array {
  const first = chunks?.[0];
  if (chunks === null || first === undefined) return NO_BODY;
  return new Uint8Array(chunks.length === 1 ? first : Buffer.concat(chunks));
}
