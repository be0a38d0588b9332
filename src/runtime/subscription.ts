// One subscription, from its first wait to its drain.
//
//   asleep: PAUSED, STOPPED, before startingAt            failed: FAILURE, here or in another relay
//     |  ^                                                   |  ^
//     |  '-- pause, stop --.                  resume, start, |  | interrupted; a probe under AUTO stays
//     v                    |                  or by itself   v  | failed until it is delivered
//   waiting ---consumer aligned---> consuming <--------------'--'
//      ^                              |
//      '--consumer lost, NATS silent--'
//
//   any ---endingAt---> closed        any ---stop---> stopped

import type { Callback } from "#callback/client.ts";
import { retryDelayMs } from "#delivery/backoff.ts";
import { type FailureCause, isSameMessage } from "#delivery/status.ts";
import type { DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import { sleep, sleepUntil } from "#lib/sleep.ts";
import { type ConsumerSettings, toConsumerSettings } from "#nats/consumer-config.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Pipeline, PipelineStats } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { consume, type ConsumeParts } from "./consume.ts";
import { openGuardForEver } from "./open-guard.ts";
import type { RunningSubscription, SubscriptionState } from "./running.ts";
import type { StatusCell } from "./states.ts";

export interface SubscriptionParts extends ConsumeParts {
  readonly openGuard: (subscription: Subscription) => Promise<Guard>;
  readonly openCallback: (subscription: Subscription) => Callback;
  readonly status: StatusCell;
  /** Makes the consumer anew at another place. Rejects with a RelayError. */
  readonly moveConsumer: (settings: ConsumerSettings, start: DeliverPolicy) => Promise<void>;
}

interface Move {
  readonly start: DeliverPolicy;
  readonly done: PromiseWithResolvers<void>;
}

const IDLE: PipelineStats = { held: 0, inFlight: 0, retrying: 0, oldestHeldAt: null, blocked: null };
/** The longest that a timer can wait at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function startSubscription(wanted: Subscription, parts: SubscriptionParts): RunningSubscription {
  const { logger, status } = parts;
  const stopping = new AbortController();
  const terms = createTerms(wanted, {
    openCallback: parts.openCallback,
    hasDeadLetters: parts.deadLetters !== null,
  });
  let pipeline: Pipeline | null = null;
  let state: SubscriptionState = { kind: "waiting", reason: "NATS is not connected" };
  /** Interruptions since a message was last delivered: how long the next probe waits. */
  let failures = 0;
  let move: Move | null = null;
  let graceMs = 0;
  /** Ends what the loop waits for, when it is to look again. */
  let turn = new AbortController();
  const forget = status.onChange(lookAgain);
  const finished = run();

  function lookAgain(): void {
    turn.abort();
  }

  /** Never rejects. */
  async function run(): Promise<void> {
    const ending = new AbortController();
    if (wanted.endingAt !== null) void closeAt(wanted.endingAt, ending.signal);
    const guard = (await status.ready(stopping.signal))
      ? await openGuardForEver(() => parts.openGuard(wanted), { onWaiting, logger, signal: stopping.signal })
      : null;
    if (guard !== null) {
      while (!stopping.signal.aborted) await takeTurn(guard);
      await guard.close();
    }
    move?.done.reject(new Error("The subscription was stopped"));
    ending.abort();
  }

  /** One stretch of whatever the status asks for. */
  async function takeTurn(guard: Guard): Promise<void> {
    turn = new AbortController();
    const signal = AbortSignal.any([turn.signal, stopping.signal]);
    if (move !== null) return moveTo(move, guard);
    const { status: operator, consumerStatus, failure } = status.current;
    if (operator === "PAUSED") return rest("Paused", signal);
    if (consumerStatus === "STOPPED") return rest("Stopped by its consumer", signal);
    if ((wanted.startingAt?.getTime() ?? 0) > Date.now()) {
      state = { kind: "asleep", reason: `Starts at ${wanted.startingAt?.toISOString()}` };
      await sleepUntil(wanted.startingAt ?? new Date(0), signal);
      return;
    }
    if (consumerStatus === "STARTED") failures = 0;
    else if (!(await waitForProbe(failure, signal))) return;
    await consumeOnce(guard, consumerStatus === "FAILURE");
  }

  async function rest(reason: string, signal: AbortSignal): Promise<void> {
    state = { kind: "asleep", reason };
    await sleep(MAX_TIMER_MS, signal);
  }

  async function consumeOnce(guard: Guard, isProbe: boolean): Promise<void> {
    const halting = new AbortController();
    const signal = AbortSignal.any([halting.signal, stopping.signal]);
    const unwatch = status.onChange(() => {
      if (!mayConsume(isProbe)) halting.abort();
    });
    if (!isProbe) state = { kind: "waiting", reason: "NATS is not connected" };
    if (!mayConsume(isProbe) || move !== null) halting.abort();
    haltForMove = () => halting.abort();
    await consume(
      {
        terms,
        guard,
        isSkipped: (message) => {
          const { skip } = status.current;
          return skip !== null && isSameMessage(skip, message);
        },
        isProbe,
        stopping: signal,
        graceMs: () => (stopping.signal.aborted ? graceMs : null),
        onPipeline: (current) => (pipeline = current),
        onWaiting,
        onConsuming: () => become({ kind: "consuming" }),
        onInterrupted: fail,
        onRecovered,
      },
      parts,
    );
    haltForMove = () => {};
    unwatch();
    pipeline = null;
  }

  let haltForMove: () => void = () => {};

  /** A failure in another relay ends the consuming here too, save that of a probe. */
  function mayConsume(isProbe: boolean): boolean {
    const current = status.current;
    if (current.status === "PAUSED") return false;
    return current.consumerStatus === "STARTED" || (isProbe && current.consumerStatus === "FAILURE");
  }

  function onWaiting(reason: string): void {
    become({ kind: "waiting", reason });
  }

  /** A probe stays FAILURE, whatever it does, until it is delivered. */
  function become(next: SubscriptionState): void {
    if (status.current.consumerStatus !== "FAILURE") state = next;
  }

  function fail(cause: FailureCause): void {
    failures += 1;
    state = { kind: "failed", cause };
    status.fail(cause);
  }

  function onRecovered(): void {
    failures = 0;
    status.recover("recovery");
    become({ kind: "consuming" });
  }

  /** False: look again. */
  async function waitForProbe(cause: FailureCause | null, signal: AbortSignal): Promise<boolean> {
    state = { kind: "failed", cause };
    const { resume } = terms.current.subscription;
    if (resume.kind === "manual") {
      await sleep(MAX_TIMER_MS, signal);
      return false;
    }
    const delayMs = retryDelayMs(
      { ...resume, kind: "exponential", maxAttempts: Infinity },
      Math.max(1, failures),
      { retryAfterMs: null, random: Math.random() },
    );
    return sleep(delayMs, signal);
  }

  async function moveTo({ start, done }: Move, guard: Guard): Promise<void> {
    move = null;
    try {
      await parts.moveConsumer(toConsumerSettings(terms.current.subscription), start);
      await guard.forget();
      done.resolve();
    } catch (error) {
      done.reject(error);
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
    forget();
    await terms.close(0);
  }

  return {
    get subscription() {
      return terms.current.subscription;
    },
    state: () => state,
    status: () => status.current,
    stats: () => pipeline?.stats() ?? IDLE,
    command: status.command,
    async seek(start) {
      const done = Promise.withResolvers<void>();
      move?.done.reject(new Error("Another seek took its place"));
      move = { start, done };
      haltForMove();
      lookAgain();
      await done.promise;
    },
    update(next) {
      terms.replace(next);
      status.recover("configuration");
      lookAgain();
    },
    declare: status.declare,
    forget: status.forget,
    async test(message) {
      const own = terms.begin();
      const exchange = await own.callback.send(message, { mayResend: false, signal: stopping.signal });
      terms.end(own);
      return exchange;
    },
    recover: () => status.recover("configuration"),
    async stop(grace) {
      await end(grace);
      if (state.kind !== "closed") state = { kind: "stopped" };
    },
  };
}
