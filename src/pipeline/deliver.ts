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

interface Deliver {
  /** Delivers and settles a message. */
  run: (held: Held) => Promise<Ending>;
  /** How many messages wait for a retry. */
  readonly retrying: number;
}

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
  let retrying = 0;

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
    return mayHaveLetter(held) ? runUnlessStored(held) : runUnlessExpired(held);
  }

  async function runUnlessStored(held: Held): Promise<Ending> {
    if (!(await isLetterStored(held))) return runUnlessExpired(held);
    await settler.complete(held);
    return { kind: "suppressed" };
  }

  function runUnlessExpired(held: Held): Promise<Ending> {
    const expiry = expiryOf(held);
    if (expiry !== null) return expire(held, expiry);
    const waiting = held.isRedeliverable ? closing : lastWait;
    return terms.current.shaper.select === null ? runInTurn(held, waiting) : runIfSelected(held, waiting);
  }

  function runInTurn(held: Held, waiting: AbortSignal): Promise<Ending> {
    const begun = turns.begin(waiting);
    if (begun === true) return deliver(held);
    return begun.then((isBegun) => (isBegun ? deliver(held) : abandon(held, null)));
  }

  /** The filter is asked before a slot is taken: what nobody wants costs no request. */
  async function runIfSelected(held: Held, waiting: AbortSignal): Promise<Ending> {
    const selection = await terms.current.shaper.select?.(held.received.message, {
      attempt: 1,
      signal: waiting,
    });
    switch (selection?.kind) {
      case undefined:
      case "selected":
        return runInTurn(held, waiting);
      case "filtered":
        await settler.complete(held);
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
    let postponements = 0;
    for (;;) {
      const expiry = expiryOf(held);
      if (expiry !== null) {
        turns.end(null);
        return expire(held, expiry);
      }
      const turn = await attemptInSlot(held);
      if (turn.kind === "not-made") return options.giveBack(held);
      if (turn.kind === "postponed") {
        postponements += 1;
        if (await postpone(held, { ...turn, postponements })) continue;
        return abandon(held, turn.exception);
      }
      postponements = 0;
      const { action, report } = turn;
      if (action.kind === "ack") await settler.complete(held);
      if (report !== null) observer.attempted(report);
      switch (action.kind) {
        case "ack":
          return { kind: "delivered" };
        case "dead-letter":
          return storeLetter(held, action.failure);
        case "drop":
          await settler.complete(held);
          return { kind: "dropped", failure: action.failure };
        case "interrupt":
          return held.isRedeliverable ? options.giveBack(held) : endForGood(held, action.failure);
        case "retry":
          await waitForRetry(action);
          if (!(await turns.begin(closing))) return abandon(held, action.failure);
      }
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
      await settler.complete(held);
      return { kind: "expired", failure, endpoint: null };
    }
    const ending = await storeLetter(held, failure);
    return ending.kind === "dead-lettered" ? { ...ending, kind: "expired" } : ending;
  }

  /** A relay that died between storing a letter and acknowledging left the message for redelivery. */
  function mayHaveLetter({ received: { message } }: Held): boolean {
    return deadLetters !== null && hasAcks && message.deliveryCount > 1 && !closing.aborted;
  }

  async function isLetterStored({ received: { message } }: Held): Promise<boolean> {
    const subjectSuffix = letterSuffix(terms.current.subscription.id, message);
    return (await deadLetters?.has({ subjectSuffix, body: message.body }, closing)) ?? false;
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
    const report = { key: held, subscription, message, attempt: held.attempts, exchange, action };
    return { kind: "decided", action, report };
  }

  /** Waits, without a slot, for a file descriptor. False: the wait was ended. */
  async function postpone(
    held: Held,
    { exception, postponements }: { exception: Exception; postponements: number },
  ): Promise<boolean> {
    observer.postponed({ subscription: terms.current.subscription, exception });
    const waiting = held.isRedeliverable ? closing : lastWait;
    await turns.wait(postponementMs(postponements), waiting);
    return turns.begin(waiting);
  }

  async function waitForRetry(pause: RetryPause): Promise<void> {
    retrying += 1;
    await turns.waitForRetry(pause, closing);
    retrying -= 1;
  }

  /** It waited for a slot or a retry when the pipeline closed. */
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
      await settler.complete(held);
      return { kind: "dead-lettered", failure, endpoint: result.endpoint };
    }
    if (result.kind === "too-large") {
      options.interrupt(held, `Cannot store its dead letter: ${result.reason}`);
    }
    return held.isRedeliverable ? options.giveBack(held) : { kind: "lost", failure };
  }

  return {
    run: isOnce ? runInOrder : runNow,
    get retrying() {
      return retrying;
    },
  };
}
