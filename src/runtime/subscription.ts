// One subscription, from its first wait to its drain.
//
//   asleep ---startingAt---> waiting ---consumer aligned---> consuming ---interrupted---> failed
//                              ^  ^                             |                            |
//                              |  '--consumer lost, NATS silent-'                            |
//                              '-------------resume: by command, or by itself as a probe-----'
//   any ---endingAt---> closed        any ---stop---> stopped

import type { Callback } from "#callback/client.ts";
import { repeatDelayMs, retryDelayMs } from "#delivery/backoff.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Interruption, Pipeline, PipelineStats } from "#pipeline/pipeline.ts";
import { consume, type ConsumeParts } from "./consume.ts";

export interface SubscriptionParts extends ConsumeParts {
  readonly openGuard: (subscription: Subscription) => Promise<Guard>;
  readonly openCallback: (subscription: Subscription) => Callback;
}

export type SubscriptionState =
  | { readonly kind: "asleep"; readonly reason: string }
  /** It would run, but something outside is not there. */
  | { readonly kind: "waiting"; readonly reason: string }
  | { readonly kind: "consuming" }
  | { readonly kind: "failed"; readonly interruption: Interruption }
  | { readonly kind: "closed" }
  | { readonly kind: "stopped" };

export interface RunningSubscription {
  readonly subscription: Subscription;
  state: () => SubscriptionState;
  stats: () => PipelineStats;
  /** How often it was interrupted since it was started. */
  interruptions: () => number;
  /** Gives back what waits, waits up to `graceMs` for what is in flight. Resolves when all of it is closed. */
  stop: (graceMs: number) => Promise<void>;
}

const IDLE: PipelineStats = { held: 0, inFlight: 0, retrying: 0, oldestHeldAt: null, blocked: null };
const OPEN_BACKOFF = { initialMs: 500, maxMs: 30_000 };
/** The longest that a timer can wait at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function startSubscription(subscription: Subscription, parts: SubscriptionParts): RunningSubscription {
  const { logger } = parts;
  const stopping = new AbortController();
  const callback = parts.openCallback(subscription);
  let pipeline: Pipeline | null = null;
  let state: SubscriptionState = { kind: "waiting", reason: "Not started yet" };
  let interruptions = 0;
  /** Interruptions since a message was last delivered after one; above 0 it is FAILURE. */
  let failures = 0;
  let graceMs = 0;
  const finished = run();

  /** Never rejects. */
  async function run(): Promise<void> {
    if (subscription.isPaused) {
      state = { kind: "asleep", reason: "Paused" };
      return;
    }
    state = { kind: "asleep", reason: `Starts at ${subscription.startingAt?.toISOString()}` };
    if (!(await sleepUntil(subscription.startingAt, stopping.signal))) return;
    const ending = new AbortController();
    if (subscription.endingAt !== null) void closeAt(subscription.endingAt, ending.signal);
    state = { kind: "waiting", reason: "NATS is not connected" };
    const guard = await openGuard();
    if (guard === null) return;
    await consumeForEver(guard);
    ending.abort();
    await guard.close();
  }

  async function consumeForEver(guard: Guard): Promise<void> {
    while (!stopping.signal.aborted) {
      const end = await consume(
        {
          subscription,
          callback,
          guard,
          isProbe: failures > 0,
          stopping: stopping.signal,
          graceMs: () => graceMs,
          onPipeline: (current) => (pipeline = current),
          onWaiting: (reason) => become({ kind: "waiting", reason }),
          onConsuming: () => become({ kind: "consuming" }),
          onInterrupted: fail,
          onRecovered,
        },
        parts,
      );
      pipeline = null;
      if (end.kind === "interrupted" && !(await waitForResume())) return;
    }
  }

  /** A probe stays FAILURE, whatever it does, until it is delivered. */
  function become(next: SubscriptionState): void {
    if (failures === 0) state = next;
  }

  function fail(interruption: Interruption): void {
    interruptions += 1;
    failures += 1;
    state = { kind: "failed", interruption };
    logger.error("Subscription interrupted", { cause: interruption.cause });
  }

  function onRecovered(): void {
    failures = 0;
    become({ kind: "consuming" });
    logger.info("Subscription resumed");
  }

  /** False: stopped meanwhile. */
  async function waitForResume(): Promise<boolean> {
    const { resume } = subscription;
    if (resume.kind === "manual") return sleepUntil(new Date(8.64e15), stopping.signal);
    const delayMs = retryDelayMs({ ...resume, kind: "exponential", maxAttempts: Infinity }, failures, {
      retryAfterMs: null,
      random: Math.random(),
    });
    return sleep(delayMs, stopping.signal);
  }

  /** Null: stopped before the state directory could be used. */
  async function openGuard(): Promise<Guard | null> {
    for (let tryNumber = 1; ; tryNumber += 1) {
      try {
        return await parts.openGuard(subscription);
      } catch (error) {
        const reason = `Cannot open the journal: ${messageOf(error)}`;
        if (tryNumber === 1) logger.error("Subscription waits", { reason });
        become({ kind: "waiting", reason });
        const delayMs = repeatDelayMs(tryNumber, { ...OPEN_BACKOFF, random: Math.random() });
        if (!(await sleep(delayMs, stopping.signal))) return null;
      }
    }
  }

  async function closeAt(time: Date, signal: AbortSignal): Promise<void> {
    if (!(await sleepUntil(time, signal))) return;
    logger.info("Subscription closed", { endingAt: time.toISOString() });
    await end(Infinity);
    state = { kind: "closed" };
  }

  async function end(grace: number): Promise<void> {
    graceMs = Math.min(grace, MAX_TIMER_MS);
    stopping.abort();
    // After an interruption it may be closing already, without a limit.
    void pipeline?.close({ graceMs });
    await finished;
    await callback.close(0);
  }

  return {
    subscription,
    state: () => state,
    stats: () => pipeline?.stats() ?? IDLE,
    interruptions: () => interruptions,
    async stop(grace) {
      await end(grace);
      if (state.kind !== "closed") state = { kind: "stopped" };
    },
  };
}

/** False: `signal` aborted before. A time of null or in the past is reached at once. */
async function sleepUntil(time: Date | null, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const delayMs = (time?.getTime() ?? 0) - Date.now();
    if (signal.aborted) return false;
    if (delayMs <= 0) return true;
    if (!(await sleep(Math.min(delayMs, MAX_TIMER_MS), signal))) return false;
  }
}
