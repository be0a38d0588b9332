// Runs one HTTP exchange: write the request, read the answer, resend once on a new connection, or stop.

import type { Exception } from "#delivery/outcome.ts";
import type { ResponseHeaders } from "#delivery/exchange.ts";
import { parseHeaders } from "./answer-head.ts";
import type { CallbackConnection, Requester } from "./connection.ts";
import { CLOSED, isBreak, toException, toExchangeException } from "./exception.ts";
import type { HttpRequest } from "./request-writer.ts";

export type ExchangeEnd =
  | {
      readonly kind: "answered";
      readonly status: number;
      readonly headers: ResponseHeaders;
      readonly body: Uint8Array;
      /** True if part of the body is missing or was not kept. */
      readonly isTruncated: boolean;
    }
  | { readonly kind: "failed"; readonly exception: Exception };

interface ExchangeSettings {
  /** Idle or closed. */
  readonly connection: CallbackConnection;
  readonly request: HttpRequest;
  /** Host and port, for messages. */
  readonly address: string;
  /** If a reused connection breaks before the first byte of the answer, send the request once more on a new one. */
  readonly mayResend: boolean;
  /** A proxy forwards the request: the answer may be the proxy's. */
  readonly isForwarded: boolean;
  /** Called once, maybe before `startExchange` returns. */
  readonly onEnd: (end: ExchangeEnd, exchange: RunningExchange) => void;
}

/** Written to in this file only. */
export interface RunningExchange extends Requester {
  readonly settings: ExchangeSettings;
  /** A byte of the request may have been sent. */
  isSent: boolean;
  /** The connection had carried an earlier request. */
  isReusing: boolean;
  resends: number;
  hasEnded: boolean;
}

/** The one status that can only be the proxy's. */
const PROXY_AUTHENTICATION_REQUIRED = 407;

/** On the hot path: state in one object and shared functions, no closure if a connection is open. */
export function startExchange(settings: ExchangeSettings): RunningExchange {
  const exchange: RunningExchange = {
    settings,
    isSent: false,
    isReusing: false,
    resends: 0,
    hasEnded: false,
    onAnswer,
    onBreak,
  };
  if (settings.connection.isOpen) send(exchange);
  else openAndSend(exchange);
  return exchange;
}

/** Ends it with `exception`; an unsent request is not sent. No effect once it has ended. */
export function stopExchange(exchange: RunningExchange, exception: Exception): void {
  if (exchange.hasEnded) return;
  exchange.settings.connection.drop();
  end(exchange, { kind: "failed", exception });
}

/** The time limit has passed. A status other than 2xx counts even if the body is incomplete; else the result is `exception`. */
export function expireExchange(exchange: RunningExchange, exception: Exception): void {
  if (exchange.hasEnded) return;
  if (!isRefused(exchange)) return stopExchange(exchange, exception);
  exchange.settings.connection.drop();
  answer(exchange, true);
}

function openAndSend(exchange: RunningExchange): void {
  exchange.settings.connection.open((exception) => {
    if (exchange.hasEnded) return;
    if (exception !== null) end(exchange, { kind: "failed", exception });
    else if (exchange.settings.connection.isOpen) send(exchange);
    else end(exchange, { kind: "failed", exception: toExchangeException(CLOSED, exchange.settings.address) });
  });
}

function send(exchange: RunningExchange): void {
  const { connection, request } = exchange.settings;
  exchange.isReusing = connection.isUsed;
  exchange.isSent = true;
  connection.send(request, exchange);
}

function onAnswer(this: RunningExchange, isTruncated: boolean): void {
  answer(this, isTruncated);
}

function onBreak(this: RunningExchange, error: unknown): void {
  if (mayBeSentAgain(this, error)) {
    this.resends += 1;
    openAndSend(this);
  } else if (isRefused(this) && isBreak(error)) {
    // The callback has refused the message: a later break, as after an early 413, does not change that.
    answer(this, true);
  } else {
    end(this, toLoss(this, error));
  }
}

/** Once: the second request uses a new connection. */
function mayBeSentAgain({ settings, isReusing }: RunningExchange, error: unknown): boolean {
  return isReusing && settings.mayResend && !settings.connection.answer.hasBegun && isBreak(error);
}

function isRefused({ isSent, settings: { connection } }: RunningExchange): boolean {
  return isSent && connection.answer.status >= 300;
}

function answer(exchange: RunningExchange, isTruncated: boolean): void {
  const { isForwarded, address, connection } = exchange.settings;
  const { status, fields } = connection.answer;
  if (isForwarded && status === PROXY_AUTHENTICATION_REQUIRED) {
    const exception = toException(
      "proxy",
      `Cannot reach ${address}: the proxy does not accept the credentials`,
    );
    return end(exchange, { kind: "failed", exception });
  }
  let headers: ResponseHeaders | null = null;
  end(exchange, {
    kind: "answered",
    status,
    // Computed on demand: few answers are looked at.
    get headers() {
      headers ??= parseHeaders(fields);
      return headers;
    },
    body: connection.answer.takeBody(),
    isTruncated,
  });
}

function toLoss({ settings: { address, connection } }: RunningExchange, error: unknown): ExchangeEnd {
  const { fault } = connection.answer;
  const exception =
    fault === ""
      ? toExchangeException(error, address)
      : toException("bad-response", `Cannot read the answer of ${address}: ${fault}`);
  return { kind: "failed", exception };
}

function end(exchange: RunningExchange, result: ExchangeEnd): void {
  exchange.hasEnded = true;
  exchange.settings.onEnd(result, exchange);
}
