// One request and its answer over one connection: ends once, at the latest when it is stopped.

import type { Exception } from "#delivery/outcome.ts";
import { parseHeaders, type ResponseHeaders } from "./answer-head.ts";
import type { CallbackConnection, Requester } from "./connection.ts";
import { CLOSED, isBreak, toException, toExchangeException } from "./exception.ts";
import type { HttpRequest } from "./request-writer.ts";

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

interface ExchangeSettings {
  /** Open and idle, or closed. */
  readonly connection: CallbackConnection;
  readonly request: HttpRequest;
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
export interface RunningExchange extends Requester {
  readonly settings: ExchangeSettings;
  /** A byte of the request may have left. */
  isSent: boolean;
  /** Over a connection that had carried a request before. */
  isReusing: boolean;
  resends: number;
  hasEnded: boolean;
}

/** Of all statuses the one that cannot be the callback's. */
const PROXY_AUTHENTICATION_REQUIRED = 407;

/** On the hot path: state in one object and shared functions, no closure where a connection is open. */
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

/** Ends it with `exception`; what has not been sent never is. Without effect once it has ended. */
export function stopExchange(exchange: RunningExchange, exception: Exception): void {
  if (exchange.hasEnded) return;
  exchange.settings.connection.drop();
  end(exchange, { kind: "failed", exception });
}

/** Its time is over. What has a status other than 2xx keeps it, though its body never ended; anything else is `exception`. */
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
    // The callback has said no: that its connection broke afterwards, as after an early 413, takes nothing back.
    answer(this, true);
  } else {
    end(this, toLoss(this, error));
  }
}

/** At most once: the second time goes over a new connection. */
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
    const exception = toException("proxy", `Cannot reach ${address}: the proxy asks for other credentials`);
    return end(exchange, { kind: "failed", exception });
  }
  let headers: ResponseHeaders | null = null;
  end(exchange, {
    kind: "answered",
    status,
    // Few are looked at, of many that come.
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
