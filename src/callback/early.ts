// Opens the connection before there is a request to send.

import type { Dispatcher } from "undici/index.js";

import type { Exception } from "#delivery/outcome.ts";
import type { Connection } from "./connection.ts";
import { toException, toExchangeException } from "./exception.ts";

export interface EarlySettings {
  /** Same headers as the requests to come: undici opens another connection for another `Host`. */
  readonly request: Dispatcher.DispatchOptions;
  /** Host and port, for messages. */
  readonly address: string;
  readonly timeoutMs: number;
  /** Ends it at once, with an exception. */
  readonly signal: AbortSignal;
}

/** Undici asks for these, although a request that never starts has no answer. */
const NO_ANSWER: Dispatcher.DispatchHandler = {
  onResponseStart: () => {},
  onResponseData: () => {},
  onResponseEnd: () => {},
};

/**
 * Opens the connection, or sees that the one there is is alive, without sending a byte: undici asks a request whether
 * it may start once it has a connection for it, and this one says no. Null when the connection is up.
 */
export function openEarly(
  connection: Connection,
  { request, address, timeoutMs, signal }: EarlySettings,
): Promise<Exception | null> {
  return new Promise((resolve) => {
    const ready = new Error("Connection is up");
    let hasEnded = false;
    const end = (exception: Exception | null) => {
      hasEnded = true;
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      resolve(exception);
    };
    const giveUp = (exception: Exception) => {
      if (hasEnded) return;
      end(exception);
      connection.drop();
    };
    const onAbort = () => giveUp(toException("connect", `Cannot reach ${address}: interrupted`));
    const timer = setTimeout(() => {
      giveUp(toException("timeout", `No connection to ${address} within ${timeoutMs} ms`));
    }, timeoutMs);
    signal.addEventListener("abort", onAbort);
    connection.dispatch(request, {
      ...NO_ANSWER,
      onRequestStart: () => {
        throw ready;
      },
      onResponseError: (_controller, error) => {
        if (!hasEnded) end(error === ready ? null : toExchangeException(error, address));
      },
    });
  });
}
