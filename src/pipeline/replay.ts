// Replays one dead letter to its callback: takes a slot beside the live messages, attempts by the subscription's policy.
//
//   waits until the subscription runs -> waits for a turn -> claims the letter -> attempt -> delivered | failed
//                  ^                                                                |
//                  '--------------------------- waiting for its retry --------------'

import type { Exchange } from "#delivery/exchange.ts";
import type { Message } from "#delivery/message.ts";
import { describeOutcome, type Exception, type Failure } from "#delivery/outcome.ts";
import { type Action, decide, holdMsOf, type Qos, type RetryPause } from "#delivery/policy.ts";
import { isPostponing, postponementMs, shapeMessage, traceHeadersOf, unsentSince } from "./attempt.ts";
import type { Observer } from "./observer.ts";
import type { Terms, TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";

/** `gone`: the letter was settled elsewhere. `unavailable`: unknown at present. */
export type Claim = "claimed" | "gone" | "unavailable";

export type ReplayResult =
  | { readonly kind: "delivered" }
  | { readonly kind: "failed"; readonly failure: Failure; readonly attempts: number }
  | { readonly kind: "gone" }
  /** The filter of the subscription does not want it: nothing was sent, the letter is unchanged. */
  | { readonly kind: "filtered" }
  /** The replay was stopped; the letter is unchanged. */
  | { readonly kind: "stopped" };

export interface LetterName {
  readonly id: string;
  /** Name of the endpoint that it lies in. */
  readonly endpoint: string;
}

export interface ReplayOrder {
  /** Called before each attempt, once it has a slot: under AT_MOST_ONCE it marks the letter. */
  readonly claim: (qos: Qos) => Promise<Claim>;
  /** Null: it is a message of the stream. */
  readonly letter: LetterName | null;
  /** Ends every wait. */
  readonly waiting: AbortSignal;
  /** Aborts the request. */
  readonly ending: AbortSignal;
}

interface ReplayParts {
  readonly terms: TermsHolder;
  readonly turns: Turns;
  readonly observer: Observer;
  readonly isRunning: () => boolean;
  /** The callback does not want the subscription any more. */
  readonly stop: (reason: string) => void;
  /** Waits until the subscription runs. False: `signal` aborted. */
  readonly running: (signal: AbortSignal) => Promise<boolean>;
}

type Step = ReplayResult | { readonly kind: "again"; readonly pause: RetryPause };

const AT_ONCE: RetryPause = { delayMs: 0, askedMs: 0 };
const CLAIM_AGAIN: RetryPause = { ...AT_ONCE, delayMs: 500 };

/** Changes the state of the subscription only if its callback asks for a stop. Never rejects. */
export async function replayMessage(
  message: Message,
  order: ReplayOrder,
  parts: ReplayParts,
): Promise<ReplayResult> {
  const { waiting } = order;
  const trace = parts.observer.trace?.(message) ?? null;
  let attempts = 0;
  let postponements = 0;
  /** Under AT_MOST_ONCE it is marked once: a relay that finds the mark does not send it. */
  let isMarked = false;
  let made: Exchange | null = null;
  for (;;) {
    if (!(await parts.running(waiting))) return { kind: "stopped" };
    if (!(await parts.turns.begin(waiting, "replay"))) return { kind: "stopped" };
    const own = parts.terms.begin();
    made = null;
    let step: Step = { kind: "again", pause: AT_ONCE };
    try {
      if (parts.isRunning()) step = await attemptInTurn(own);
    } finally {
      parts.terms.end(own);
      parts.turns.end(made);
    }
    if (step.kind !== "again") return settle(own, step);
    if (!(await parts.turns.waitForRetry(step.pause, waiting))) return { kind: "stopped" };
  }

  async function attemptInTurn(own: Terms): Promise<Step> {
    const { qos } = own.subscription;
    const { waking } = parts.turns;
    const times = { startedAt: new Date(), startMs: performance.now() };
    const isOnce = qos === "AT_MOST_ONCE";
    const selection = await own.shaper.select?.(message, { attempt: 1, signal: waiting });
    if (selection?.kind === "filtered") return selection;
    if (selection?.kind === "failed") {
      return judge(own, unsentSince(times, { kind: "expression", error: selection.error }, own.subscription));
    }
    const shaping = await shapeMessage(message, { terms: own, attempt: attempts + 1, signal: waiting });
    if (shaping.kind === "unshaped") {
      if (waiting.aborted) return { kind: "stopped" };
      return judge(own, unsentSince(times, shaping.fault, own.subscription));
    }
    const exception = isOnce ? await own.callback.prepare(waiting) : null;
    if (waiting.aborted) return { kind: "stopped" };
    if (exception !== null && isPostponing(exception)) return postpone(own, exception);
    if (exception !== null) return judge(own, unsentSince(times, exception, own.subscription));
    const claim = isMarked ? "claimed" : await order.claim(qos);
    if (claim === "gone") return { kind: "gone" };
    if (claim === "unavailable") return { kind: "again", pause: CLAIM_AGAIN };
    isMarked = isOnce;
    const exchange = await own.callback.send(message, {
      mayResend: !isOnce,
      signal: order.ending,
      parts: shaping.parts,
      trace: traceHeadersOf({ trace, attempts }),
    });
    if (exchange.aborted && !isOnce) return { kind: "stopped" };
    const { outcome, sent } = exchange;
    if (isPostponing(outcome) && !(isOnce && sent)) return postpone(own, outcome);
    return judge(own, exchange, { mayRetry: !isOnce, heedsRetryAfter: !waking.aborted });
  }

  function postpone({ subscription }: Terms, exception: Exception): Step {
    postponements += 1;
    parts.observer.postponed({ subscription, exception });
    return { kind: "again", pause: { ...AT_ONCE, delayMs: postponementMs(postponements) } };
  }

  function judge(own: Terms, exchange: Exchange, { mayRetry = true, heedsRetryAfter = true } = {}): Step {
    if (heedsRetryAfter) parts.turns.hold(holdMsOf(exchange.outcome, own.policy.retry));
    made = exchange;
    attempts += 1;
    postponements = 0;
    // It already is a dead letter: a failure leaves it one.
    const policy = {
      ...own.policy,
      hasDeadLetters: true,
      interruptOnServerError: false,
      interruptOnException: false,
    };
    const action = decide(exchange.outcome, policy, {
      attempt: attempts,
      mayRetry,
      heedsRetryAfter,
      random: Math.random(),
    });
    parts.observer.attempted({
      key: order,
      subscription: own.subscription,
      message,
      attempt: attempts,
      exchange,
      action,
      trace,
    });
    const { outcome } = exchange;
    if ("isStop" in outcome && outcome.isStop) parts.stop(`Replay: ${describeOutcome(outcome)}`);
    return toStep(action);
  }

  function toStep(action: Action): Step {
    switch (action.kind) {
      case "ack":
        return { kind: "delivered" };
      case "retry":
        return { kind: "again", pause: action };
      case "dead-letter":
      case "drop":
      case "interrupt":
        return { kind: "failed", failure: action.failure, attempts };
    }
  }

  function settle({ subscription }: Terms, result: ReplayResult): ReplayResult {
    const about = { key: order, subscription, message, attempts, trace };
    if (result.kind === "delivered" || result.kind === "filtered") {
      parts.observer.settled({ ...about, ending: { kind: result.kind } });
    }
    if (result.kind === "failed") {
      const { failure } = result;
      parts.observer.settled({
        ...about,
        ending: { kind: "failed-again", failure, letter: order.letter },
      });
    }
    return result;
  }
}
