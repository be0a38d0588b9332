// Makes one attempt at one message: checks that it may be sent, sends it, returns the outcome.

import type { Exchange } from "#delivery/exchange.ts";
import { repeatDelayMs } from "#delivery/backoff.ts";
import type { Message } from "#delivery/message.ts";
import type { Exception, ExpressionFault, Outcome } from "#delivery/outcome.ts";
import type { RequestParts } from "#delivery/shape.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { toTraceHeaders, type Trace, type TraceHeaders } from "#delivery/trace.ts";
import { isOutOfDescriptors } from "#lib/descriptors.ts";
import { messageOf } from "#lib/errors.ts";
import { createMask } from "#lib/mask.ts";
import type { ClosingSignals } from "./closing.ts";
import type { Guard } from "./guard.ts";
import type { Held } from "./settle.ts";
import type { Terms } from "./terms.ts";

type AttemptResult =
  | { readonly kind: "made"; readonly exchange: Exchange }
  /** Nothing was sent: another relay may hold the message. */
  | { readonly kind: "not-made" }
  /** Nothing was sent for lack of a file descriptor: repeat it as if it had not begun. */
  | { readonly kind: "postponed"; readonly exception: Exception }
  /** Acknowledged, but not in the journal: it must not be sent. */
  | { readonly kind: "unrecorded"; readonly exception: Exception };

interface AttemptOptions {
  readonly guard: Guard;
  readonly signals: ClosingSignals;
}

/** Never rejects. */
export function attempt(held: Held, terms: Terms, options: AttemptOptions): Promise<AttemptResult> {
  const { shape } = terms.shaper;
  return shape === null
    ? attemptWith(null, { held, terms, options })
    : attemptShaped({ held, terms, options });
}

interface Attempting {
  readonly held: Held;
  readonly terms: Terms;
  readonly options: AttemptOptions;
}

function attemptWith(
  parts: RequestParts | null,
  { held, terms, options }: Attempting,
): Promise<AttemptResult> {
  if (terms.subscription.qos === "AT_MOST_ONCE") return attemptOnce(held, terms, { ...options, parts });
  const signal = signalOf(held, options);
  const trace = traceHeadersOf(held);
  const sending = terms.callback.send(held.received.message, { mayResend: true, signal, parts, trace });
  return sending.then((exchange) =>
    exchange.aborted && held.isRedeliverable ? { kind: "not-made" } : toResult(exchange),
  );
}

function signalOf({ isRedeliverable }: Held, { signals }: AttemptOptions): AbortSignal {
  return isRedeliverable ? signals.redeliverable : signals.final;
}

/** Of its next attempt. */
export function traceHeadersOf({ trace, attempts }: Traced): TraceHeaders | null {
  return trace === null ? null : toTraceHeaders(trace, attempts + 1);
}

interface Traced {
  readonly trace: Trace | null;
  readonly attempts: number;
}

async function attemptShaped(attempting: Attempting): Promise<AttemptResult> {
  const { held, terms, options } = attempting;
  const times = { startedAt: new Date(), startMs: performance.now() };
  const shaping = await shapeMessage(held.received.message, {
    terms,
    attempt: held.attempts + 1,
    signal: signalOf(held, options),
  });
  if (shaping.kind === "shaped") return attemptWith(shaping.parts, attempting);
  if (shaping.fault.kind === "exception" && held.isRedeliverable) return { kind: "not-made" };
  return { kind: "made", exchange: unsentSince(times, shaping.fault, terms.subscription) };
}

/** For a test: one request, or none if an expression failed. Never rejects. */
export async function sendOnce(message: Message, terms: Terms, signal: AbortSignal): Promise<Exchange> {
  const times = { startedAt: new Date(), startMs: performance.now() };
  const shaping = await shapeMessage(message, { terms, attempt: 1, signal });
  if (shaping.kind === "unshaped") return unsentSince(times, shaping.fault, terms.subscription);
  return terms.callback.send(message, { mayResend: false, signal, parts: shaping.parts });
}

type Shaped =
  | { readonly kind: "shaped"; readonly parts: RequestParts | null }
  /** An exception: the signal aborted. */
  | { readonly kind: "unshaped"; readonly fault: Exception | ExpressionFault };

export async function shapeMessage(
  message: Message,
  { terms: { shaper }, attempt: number, signal }: { terms: Terms; attempt: number; signal: AbortSignal },
): Promise<Shaped> {
  if (shaper.shape === null) return { kind: "shaped", parts: null };
  const shaping = await shaper.shape(message, { attempt: number, signal });
  switch (shaping.kind) {
    case "shaped":
      return shaping;
    case "failed":
      return { kind: "unshaped", fault: { kind: "expression", error: shaping.error } };
    case "aborted":
      return { kind: "unshaped", fault: NEVER_SENT };
  }
}

export const NEVER_SENT: Exception = {
  kind: "exception",
  code: "timeout",
  error: "The relay stopped before the request was sent",
};

/** The exchange of a request that was not sent. */
export function unsentSince(
  { startedAt, startMs }: { readonly startedAt: Date; readonly startMs: number },
  outcome: Exception | ExpressionFault,
  subscription: Subscription,
): Exchange {
  return unsent(outcome, subscription, { startedAt, durationMs: performance.now() - startMs });
}

function toResult(exchange: Exchange): AttemptResult {
  const { outcome } = exchange;
  return isPostponing(outcome) ? { kind: "postponed", exception: outcome } : { kind: "made", exchange };
}

/** How long a postponed attempt waits. `postponements`: how many in a row, including this one. */
export function postponementMs(postponements: number): number {
  return repeatDelayMs(postponements, { initialMs: 250, maxMs: 2000, random: Math.random() });
}

/** Whether the outcome says nothing about the callback or the message. */
export function isPostponing(outcome: Outcome): outcome is Exception {
  return outcome.kind === "exception" && outcome.code === "descriptors";
}

/**
 * AT_MOST_ONCE: everything that can fail before a byte is sent, then the acknowledgement, the journal, the request. If
 * it is unknown whether the acknowledgement arrived, nothing is sent: if it was lost, the stream delivers the message
 * again. An attempt that was postponed after its acknowledgement continues from there.
 */
async function attemptOnce(
  held: Held,
  { subscription, callback }: Terms,
  { guard, signals: { redeliverable, final }, parts }: AttemptOptions & { parts: RequestParts | null },
): Promise<AttemptResult> {
  const { message } = held.received;
  const times = { startedAt: new Date(), startMs: performance.now() };
  const exception = await callback.prepare(held.isRedeliverable ? redeliverable : final);
  if (held.isRedeliverable && redeliverable.aborted) return { kind: "not-made" };
  const fault = exception ?? (await checkJournal(guard));
  if (fault !== null) {
    if (isPostponing(fault)) return { kind: "postponed", exception: fault };
    return { kind: "made", exchange: unsentSince(times, fault, subscription) };
  }
  if (held.isRedeliverable && !(await held.received.confirmAck(redeliverable))) return { kind: "not-made" };
  held.isRedeliverable = false;
  try {
    await guard.markDoneDurably(message);
  } catch (error) {
    const unwritten = toJournalException(error);
    return { kind: isPostponing(unwritten) ? "postponed" : "unrecorded", exception: unwritten };
  }
  const trace = traceHeadersOf(held);
  const exchange = await callback.send(message, { mayResend: false, signal: final, parts, trace });
  return exchange.sent ? { kind: "made", exchange } : toResult(exchange);
}

/** Retry a journal that failed before, while the stream still has the message. */
async function checkJournal(guard: Guard): Promise<Exception | null> {
  try {
    await guard.repair();
    return null;
  } catch (error) {
    return toJournalException(error);
  }
}

function toJournalException(error: unknown): Exception {
  const code = isOutOfDescriptors(error) ? "descriptors" : "journal";
  return { kind: "exception", code, error: `Cannot write the journal: ${messageOf(error)}` };
}

function unsent(
  outcome: Exception | ExpressionFault,
  { callback }: Subscription,
  { startedAt, durationMs }: Pick<Exchange, "startedAt" | "durationMs">,
): Exchange {
  return {
    outcome,
    startedAt,
    durationMs,
    sent: false,
    aborted: false,
    resends: 0,
    droppedHeaders: 0,
    request: { method: callback.method, url: callback.displayUrl, headers: [] },
    response: null,
    mask: createMask(callback.secrets),
  };
}
