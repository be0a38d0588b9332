// Replays dead letters into a subscription: sends while it runs, waits while it does not, finishes before it closes.

import type { Message } from "#delivery/message.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { sleepUntil } from "#lib/sleep.ts";
import type { Observer } from "#pipeline/observer.ts";
import { replayMessage, type ReplayOrder, type ReplayResult } from "#pipeline/replay.ts";
import type { TermsHolder } from "#pipeline/terms.ts";
import type { Turns } from "#pipeline/turns.ts";
import type { StatusCell } from "./states.ts";

export interface Replaying {
  replay: (message: Message, order: ReplayOrder) => Promise<ReplayResult>;
  /** Ends waiting replays at once, and those in flight within `graceMs`. */
  close: (graceMs: number) => Promise<void>;
}

interface ReplayingParts {
  readonly terms: TermsHolder;
  readonly turns: Turns;
  readonly status: StatusCell;
  readonly observer: Observer;
}

export function createReplaying(
  { startingAt, endingAt }: Subscription,
  { terms, turns, status, observer }: ReplayingParts,
): Replaying {
  const closing = new AbortController();
  const expired = new AbortController();
  const waitingWith = createJoin(closing.signal);
  const endingWith = createJoin(expired.signal);
  const underWay = new Set<Promise<ReplayResult>>();

  function isRunning(): boolean {
    const { status: operator, consumerStatus } = status.current;
    const now = Date.now();
    const isInTime = (startingAt?.getTime() ?? now) <= now && now < (endingAt?.getTime() ?? Infinity);
    return isInTime && operator === "ACCEPTED" && consumerStatus === "STARTED";
  }

  async function running(signal: AbortSignal): Promise<boolean> {
    if (!(await sleepUntil(startingAt ?? new Date(0), signal))) return false;
    while (!isRunning()) if (!(await statusChange(signal))) return false;
    return !signal.aborted;
  }

  function statusChange(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = () => {
        forget();
        signal.removeEventListener("abort", end);
        resolve(!signal.aborted);
      };
      const forget = status.onChange(end);
      signal.addEventListener("abort", end);
    });
  }

  return {
    async replay(message, order) {
      const waiting = waitingWith(order.waiting);
      const ending = endingWith(order.ending);
      const stop = (text: string) => status.fail({ text, at: new Date(), message: null, stops: true });
      const parts = { terms, turns, observer, isRunning, running, stop };
      const result = replayMessage(message, { ...order, waiting, ending }, parts);
      underWay.add(result);
      return result.finally(() => underWay.delete(result));
    },
    async close(graceMs) {
      closing.abort();
      const timer = setTimeout(() => expired.abort(), graceMs);
      await Promise.allSettled(underWay);
      clearTimeout(timer);
    },
  };
}

/** One joined signal per signal, not per letter: a signal with listeners lives as long as `own`. */
function createJoin(own: AbortSignal): (other: AbortSignal) => AbortSignal {
  const joined = new WeakMap<AbortSignal, AbortSignal>();
  return (other) => {
    const known = joined.get(other) ?? AbortSignal.any([other, own]);
    joined.set(other, known);
    return known;
  };
}
