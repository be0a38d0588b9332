// What a request needs, had before there is a request to send: an access token and a connection.

import type { Exception } from "#delivery/outcome.ts";
import { toException } from "./exception.ts";
import type { Line } from "./sending.ts";

/** Null when there are a token, if one is sent, and a connection. Takes the time limit of a send at most. */
export async function preconnect(
  { tokens, slots, address, limitMs }: Line,
  signal: AbortSignal,
): Promise<Exception | null> {
  const deadlineMs = performance.now() + limitMs;
  // What is under way goes on for others.
  const unlessAborted = (result: Promise<Exception | null>) => endWithSignal(result, { signal, address });
  if (tokens !== null) {
    const token = tokens.obtain().then((result) => (result.kind === "token" ? null : result));
    const exception = await unlessAborted(token);
    if (exception !== null) return exception;
  }
  return unlessAborted(slots.prepareOwn(Math.max(0, deadlineMs - performance.now())));
}

function endWithSignal(
  result: Promise<Exception | null>,
  { signal, address }: { readonly signal: AbortSignal; readonly address: string },
): Promise<Exception | null> {
  const { promise, resolve } = Promise.withResolvers<Exception | null>();
  const onAbort = () => resolve(toException("connect", `Cannot reach ${address}: interrupted`));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort);
  // Never rejects.
  void result.then((exception) => {
    signal.removeEventListener("abort", onAbort);
    resolve(exception);
  });
  return promise;
}
