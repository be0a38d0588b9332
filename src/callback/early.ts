// What a request needs, had before there is a request to send: an access token and a connection.

import type { Dispatcher } from "undici/index.js";

import type { Exception } from "#delivery/outcome.ts";
import { toException, toExchangeException } from "./exception.ts";
import type { Line } from "./sending.ts";

export interface EarlySettings {
  /** Same headers as the requests to come: undici opens another connection for another `Host`. */
  readonly request: Dispatcher.DispatchOptions;
  /** Ends it at once, with an exception. */
  readonly signal: AbortSignal;
}

/** Undici asks for these, although a request that never starts has no answer. */
const NO_ANSWER: Dispatcher.DispatchHandler = {
  onResponseStart: () => {},
  onResponseData: () => {},
  onResponseEnd: () => {},
};

/** Null when there are a token, if one is sent, and a connection. Takes the time limit of a send at most. */
export async function prepareEarly(line: Line, settings: EarlySettings): Promise<Exception | null> {
  const deadlineMs = performance.now() + line.limitMs;
  const exception = await obtainEarly(line, settings.signal);
  if (exception !== null) return exception;
  if (settings.signal.aborted) return toInterruption(line.address);
  return openEarly(line, { ...settings, deadlineMs });
}

/** Waits for a token that holds for a while; a fetch takes the time limit of a send at most. */
async function obtainEarly({ tokens, address }: Line, signal: AbortSignal): Promise<Exception | null> {
  if (tokens === null) return null;
  const { promise, resolve } = Promise.withResolvers<Exception | null>();
  const onAbort = () => resolve(toInterruption(address));
  signal.addEventListener("abort", onAbort);
  // Never rejects; the fetch goes on for others.
  void tokens.obtain().then((result) => resolve(result.kind === "token" ? null : result));
  const exception = await promise;
  signal.removeEventListener("abort", onAbort);
  return exception;
}

/**
 * Opens the connection, or sees that the one there is is alive, without sending a byte: undici asks a request whether
 * it may start once it has a connection for it, and this one says no.
 */
async function openEarly(
  { slots, address, limitMs }: Line,
  { request, signal, deadlineMs }: EarlySettings & { readonly deadlineMs: number },
): Promise<Exception | null> {
  const connection = slots.take();
  const { promise, resolve } = Promise.withResolvers<Exception | null>();
  const ready = new Error("Connection is up");
  let hasEnded = false;
  const end = (exception: Exception | null) => {
    hasEnded = true;
    resolve(exception);
  };
  const giveUp = (exception: Exception) => {
    if (hasEnded) return;
    end(exception);
    connection.drop();
  };
  const onAbort = () => giveUp(toInterruption(address));
  const timer = setTimeout(
    () => giveUp(toException("timeout", `No connection to ${address} within ${limitMs} ms`)),
    Math.max(0, deadlineMs - performance.now()),
  );
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
  const exception = await promise;
  clearTimeout(timer);
  signal.removeEventListener("abort", onAbort);
  slots.giveBack(connection);
  return exception;
}

function toInterruption(address: string): Exception {
  return toException("connect", `Cannot reach ${address}: interrupted`);
}
