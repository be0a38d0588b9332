// Delivers one message: waits for a slot, attempts, decides, and carries out the decision.

import type { Exchange } from "#delivery/exchange.ts";
import { letterSuffix } from "#delivery/dead-letter.ts";
import { describeOutcome, type Exception, type Expiry, type Failure } from "#delivery/outcome.ts";
import { type Action, decide, holdMsOf, type RetryPause } from "#delivery/policy.ts";
import { createLimiter } from "#lib/limiter.ts";
import type { DeadLetters } from "#letters/store.ts";
import { attempt, NEVER_SENT, postponementMs } from "./attempt.ts";
import type { ClosingSignals } from "./closing.ts";
import type { Guard } from "./guard.ts";
import type { Held, Settler } from "./settle.ts";
import type { Attempted, Ending, Observer } from "./observer.ts";
import type { Terms, TermsHolder } from "./terms.ts";
import type { Turns } from "./turns.ts";

interface DeliverOptions {
  readonly terms: TermsHolder;
  readonly hasAcks: boolean;
  readonly guard: Guard;
  readonly deadLetters: DeadLetters | null;
  readonly settler: Settler;
  readonly observer: Observer;
  readonly turns: Turns;
  readonly signals: ClosingSignals;
  /** False: another relay may hold the redeliverable messages. */
  readonly isCurrent: () => boolean;
  /** Closes the pipeline because of this message. */
  readonly interrupt: (held: Held, reason: string, options?: { readonly stops: boolean }) => void;
  readonly giveBack: (held: Held) => Ending;
}

export interface Deliver {
  /** Delivers and settles a message that keeps no order: waits for its slots and its retries. */
  run: (held: Held) => Promise<Ending>;
  /**
   * One attempt at a message whose slot is taken, and what follows from it. Ends the slot. `onDelivered`: the next one
   * need not wait for what is left to do.
   */
  attempt: (held: Held, onDelivered: () => void) => Promise<Step>;
  /** Waits without a slot until the message may be attempted again. False: the pipeline closed first. */
  waitForStep: (held: Held, step: Exclude<Step, { kind: "ended" }>) => Promise<boolean>;
  /** Completes a message that is not to be sent. */
  skip: (held: Held) => Promise<Ending>;
  /** It waited for a slot or a retry when the pipeline closed. */
  abandon: (held: Held, failure: Failure | null) => Promise<Ending>;
  /** How many messages wait for a retry. */
  readonly retrying: number;
  /** When the first of them is sent again, on the clock of `performance.now`; null: none waits. */
  readonly nextRetryAt: number | null;
}

/** What follows from an attempt. */
type Step =
  | { readonly kind: "ended"; readonly ending: Ending }
  | { readonly kind: "retry"; readonly pause: RetryPause; readonly failure: Failure }
  /** There was no file descriptor: it was not an attempt. */
  | { readonly kind: "postponed"; readonly failure: Exception };

/** When a pipeline closes, what cannot be given back waits for its turn if that comes within this time. */
const PATIENCE_MS = 10_000;

type Turn =
  | {
      readonly kind: "decided";
      readonly action: Action;
      /** Null: nothing was sent. */
      readonly report: Attempted | null;
    }
  /** Another relay may hold it. */
  | { readonly kind: "not-made" }
  | { readonly kind: "postponed"; readonly exception: Exception };

export function createDeliver(options: DeliverOptions): Deliver {
  const { terms, hasAcks, deadLetters, settler, observer, turns } = options;
  const { closing, redeliverable, final, letters } = options.signals;
  /**
   * AT_MOST_ONCE: a message arrives as soon as the previous one is acknowledged, before the previous request. It waits
   * until that message has ended, including its dead letter, and meanwhile opens its own connection.
   */
  const isOnce = terms.current.subscription.qos === "AT_MOST_ONCE";
  const order = createLimiter(1);
  /** Of messages that nothing will deliver again. They need not wait a day for their turn. */
  const patience = new AbortController();
  const lastWait = AbortSignal.any([final, patience.signal]);
  closing.addEventListener("abort", () => {
    if (turns.pace.waitMs > PATIENCE_MS) patience.abort();
  });
  const retries = new Set<{ readonly dueAt: number }>();

  async function runInOrder(held: Held): Promise<Ending> {
    if (!order.tryAcquire()) {
      void terms.current.callback.prepare(closing); // Never rejects; the attempt waits for it or reports its failure.
      if (!(await order.acquire(closing))) return abandon(held, null);
    }
    try {
      return await runNow(held);
    } finally {
      order.release();
    }
  }

  /** On the hot path: no promise of its own where nothing is to be waited for. */
  function runNow(held: Held): Promise<Ending> {
    const unsent = endUnsent(held);
    return unsent === null ? runInTurn(held) : unsent.then((ending) => ending ?? runInTurn(held));
  }

  function runInTurn(held: Held): Promise<Ending> {
    const begun = turns.begin(waitingOf(held));
    if (begun === true) return deliver(held);
    return begun.then((isBegun) => (isBegun ? deliver(held) : abandon(held, null)));
  }

  /** Ends what a request would not wait for. */
  function waitingOf({ isRedeliverable }: Held): AbortSignal {
    return isRedeliverable ? closing : lastWait;
  }

  /** Before its first attempt: what has its letter, is too old, or is not wanted costs no request. Null: send it. */
  function endUnsent(held: Held): Promise<Ending | null> | null {
    return held.mayHaveLetter ? endStored(held) : endUnwanted(held);
  }

  async function endStored(held: Held): Promise<Ending | null> {
    if (!(await isLetterStored(held))) return endUnwanted(held);
    settler.complete(held);
    return { kind: "suppressed" };
  }

  function endUnwanted(held: Held): Promise<Ending | null> | null {
    const expiry = expiryOf(held);
    if (expiry !== null) return expire(held, expiry);
    return terms.current.shaper.select === null ? null : select(held, waitingOf(held));
  }

  /** Null: it is wanted. */
  async function select(held: Held, signal: AbortSignal): Promise<Ending | null> {
    const selection = await terms.current.shaper.select?.(held.received.message, { attempt: 1, signal });
    switch (selection?.kind) {
      case undefined:
      case "selected":
        return null;
      case "filtered":
        settler.complete(held);
        return { kind: "filtered" };
      case "failed":
        return endUnselected(held, { kind: "expression", error: selection.error });
      case "aborted":
        return abandon(held, null);
    }
  }

  async function endUnselected(held: Held, failure: Failure): Promise<Ending> {
    if (deadLetters !== null) return storeLetter(held, failure);
    interrupt(held, failure);
    return held.isRedeliverable ? options.giveBack(held) : endForGood(held, failure);
  }

  /**
   * From its first slot on. A separate function for the garbage collector: the frame of a long wait is old, and whatever
   * it references is kept until the next full collection.
   */
  async function deliver(held: Held): Promise<Ending> {
    for (;;) {
      const step = await attemptOnce(held);
      if (step.kind === "ended") return step.ending;
      const waiting = step.kind === "postponed" ? waitingOf(held) : closing;
      if (!(await waitForStep(held, step)) || !(await turns.begin(waiting)))
        return abandon(held, step.failure);
    }
  }

  async function attemptOnce(held: Held, onDelivered: () => void = ignore): Promise<Step> {
    const expiry = expiryOf(held);
    if (expiry !== null) {
      turns.end(null);
      return { kind: "ended", ending: await expire(held, expiry) };
    }
    const turn = await attemptInSlot(held);
    if (turn.kind === "not-made") return { kind: "ended", ending: options.giveBack(held) };
    if (turn.kind === "postponed") {
      held.postponements += 1;
      return { kind: "postponed", failure: turn.exception };
    }
    held.postponements = 0;
    const { action, report } = turn;
    if (action.kind === "ack") {
      settler.complete(held);
      onDelivered();
    }
    if (report !== null) observer.attempted(report);
    if (action.kind === "retry") return { kind: "retry", pause: action, failure: action.failure };
    return { kind: "ended", ending: await settle(held, action) };
  }

  /** As `runNow`, for a message whose slot is taken: ends the slot, which costs no request if nothing is sent. */
  async function attemptOrdered(held: Held, onDelivered: () => void): Promise<Step> {
    const isFirst = held.attempts === 0 && held.postponements === 0;
    const unsent = isFirst ? endUnsent(held) : null;
    if (unsent === null) return attemptOnce(held, onDelivered);
    let ending: Ending | null = null;
    let isToBeSent = false;
    try {
      ending = await unsent;
      isToBeSent = ending === null;
    } finally {
      if (!isToBeSent) turns.end(null);
    }
    return ending === null ? attemptOnce(held, onDelivered) : { kind: "ended", ending };
  }

  async function settle(held: Held, action: Exclude<Action, { kind: "retry" }>): Promise<Ending> {
    switch (action.kind) {
      case "ack":
        return { kind: "delivered" };
      case "dead-letter":
        return storeLetter(held, action.failure);
      case "drop":
        settler.complete(held);
        return { kind: "dropped", failure: action.failure };
      case "interrupt":
        return held.isRedeliverable ? options.giveBack(held) : endForGood(held, action.failure);
    }
  }

  /** Null: it may be sent. On the hot path: usually there is no maximum age. */
  function expiryOf({ received: { message } }: Held): Expiry | null {
    const { maxAgeMs } = terms.current.subscription;
    if (maxAgeMs === null) return null;
    const ageMs = Date.now() - Number(message.timestampNanos / 1_000_000n);
    if (ageMs <= maxAgeMs) return null;
    const error = `Message is ${Math.floor(ageMs / 1000)} s old, maxAgeSeconds is ${maxAgeMs / 1000}`;
    return { kind: "expired", error };
  }

  async function expire(held: Held, failure: Expiry): Promise<Ending> {
    if (deadLetters === null) {
      settler.complete(held);
      return { kind: "expired", failure, endpoint: null };
    }
    const ending = await storeLetter(held, failure);
    return ending.kind === "dead-lettered" ? { ...ending, kind: "expired" } : ending;
  }

  /** A relay that died between storing a letter and acknowledging left the message for redelivery. */
  async function isLetterStored(held: Held): Promise<boolean> {
    const { message } = held.received;
    held.mayHaveLetter = false;
    if (deadLetters === null || !hasAcks || closing.aborted) return false;
    const subjectSuffix = letterSuffix(terms.current.subscription.id, message);
    return deadLetters.has({ subjectSuffix, body: message.body }, closing);
  }

  /** Release the slot only after the decision: it may stop the next message. */
  async function attemptInSlot(held: Held): Promise<Turn> {
    const own = terms.begin();
    const { waking } = turns;
    let made: Exchange | null = null;
    try {
      if (held.isRedeliverable && !options.isCurrent()) return { kind: "not-made" };
      const result = await attempt(held, own, options);
      if (result.kind === "not-made" || result.kind === "postponed") return result;
      if (result.kind === "made") made = result.exchange;
      const turn: Turn & { kind: "decided" } =
        result.kind === "unrecorded"
          ? { kind: "decided", action: { kind: "interrupt", failure: result.exception }, report: null }
          : decideAbout(held, own, result.exchange, { heedsRetryAfter: !waking.aborted });
      const { action } = turn;
      if (action.kind === "interrupt") interrupt(held, action.failure);
      return turn;
    } finally {
      terms.end(own);
      turns.end(made);
    }
  }

  function decideAbout(
    held: Held,
    { subscription, policy }: Terms,
    exchange: Exchange,
    { heedsRetryAfter }: { heedsRetryAfter: boolean },
  ): Turn & { kind: "decided" } {
    if (heedsRetryAfter) turns.hold(holdMsOf(exchange.outcome, policy.retry));
    held.attempts += 1;
    const action = decide(exchange.outcome, policy, {
      attempt: held.attempts,
      mayRetry: held.isRedeliverable || !hasAcks,
      heedsRetryAfter,
      random: Math.random(),
    });
    const { message } = held.received;
    const { attempts: attempt, trace } = held;
    const report = { key: held, subscription, message, attempt, exchange, action, trace };
    return { kind: "decided", action, report };
  }

  async function waitForStep(held: Held, step: Exclude<Step, { kind: "ended" }>): Promise<boolean> {
    if (step.kind === "postponed") {
      observer.postponed({ subscription: terms.current.subscription, exception: step.failure });
      return turns.wait(postponementMs(held.postponements), waitingOf(held));
    }
    const { delayMs, askedMs } = step.pause;
    const retry = { dueAt: performance.now() + Math.max(delayMs, askedMs) };
    retries.add(retry);
    const isDue = await turns.waitForRetry(step.pause, closing);
    retries.delete(retry);
    return isDue;
  }

  async function abandon(held: Held, failure: Failure | null): Promise<Ending> {
    if (held.isRedeliverable) return options.giveBack(held);
    return endForGood(held, failure ?? NEVER_SENT);
  }

  function interrupt(held: Held, failure: Failure): void {
    const isLost = !held.isRedeliverable && deadLetters === null;
    options.interrupt(held, `${describeOutcome(failure)}${isLost ? "; the message is lost" : ""}`, {
      stops: "isStop" in failure && failure.isStop,
    });
  }

  /** Nothing will deliver the message again: store its dead letter. */
  async function endForGood(held: Held, failure: Failure): Promise<Ending> {
    return deadLetters === null ? { kind: "lost", failure } : storeLetter(held, failure);
  }

  async function storeLetter(held: Held, failure: Failure): Promise<Ending> {
    if (deadLetters === null) throw new Error("No endpoint for a dead letter");
    const signals = held.isRedeliverable
      ? { repeating: closing, trying: redeliverable }
      : { repeating: letters, trying: letters };
    const result = await settler.storeLetter(held, failure, { deadLetters, closing, ...signals });
    if (result.kind === "stored") {
      settler.complete(held);
      return { kind: "dead-lettered", failure, endpoint: result.endpoint };
    }
    if (result.kind === "too-large") {
      options.interrupt(held, `Cannot store its dead letter: ${result.reason}`);
    }
    return held.isRedeliverable ? options.giveBack(held) : { kind: "lost", failure };
  }

  return {
    run: isOnce ? runInOrder : runNow,
    attempt: attemptOrdered,
    waitForStep,
    async skip(held) {
      settler.complete(held);
      return { kind: "skipped" };
    },
    abandon,
    get retrying() {
      return retries.size;
    },
    get nextRetryAt() {
      return retries.size === 0 ? null : Math.min(...[...retries].map(({ dueAt }) => dueAt));
    },
  };
}

function ignore(): void {}
