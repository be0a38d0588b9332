// One subscription, from its first wait to its drain.
//
//   asleep: PAUSED, STOPPED, before startingAt            failed: FAILURE, here or in another relay
//     |  ^                                                   |  ^
//     |  '-- pause, stop --.                  resume, start, |  | interrupted; a probe under AUTO stays
//     v                    |                  or by itself   v  | failed until it is delivered
//   waiting ---consumer aligned---> consuming <--------------'--'
//      ^                              |
//      '--consumer lost, NATS silent, seek'
//
//   any ---endingAt---> closed        any ---stop---> stopped
//
// A loop takes one turn after the other; each looks at the status anew, and what changes meanwhile ends it. Only a turn
// touches the consumer and the guard.

import type { Callback } from "#callback/client.ts";
import type { FailureCause } from "#delivery/status.ts";
import { concurrencyOf, type DeliverPolicy, type Subscription } from "#delivery/subscription.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { sleep, sleepUntil } from "#lib/sleep.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import { type ConsumerSettings, toConsumerSettings } from "#consumer/config.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Pipeline, PipelineStats } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { consume, type ConsumeParts } from "./consume.ts";
import { createDurable, type MakeDurableParts } from "./make-durable.ts";
import { carryOut, createMoves } from "./seek-requests.ts";
import { openGuardForEver } from "./open-guard.ts";
import { createPlace } from "./cluster-seek.ts";
import { createProbePace } from "./probe-pace.ts";
import { createReplaying } from "./replaying.ts";
import { createResetWatch } from "./reset-watch.ts";
import { restEnd, onTakenUp, restOf } from "./idle.ts";
import type { RunningSubscription, SubscriptionState } from "./running.ts";
import type { StatusCell } from "./states.ts";

export interface SubscriptionParts extends ConsumeParts, MakeDurableParts {
  readonly openGuard: (subscription: Subscription) => Promise<Guard>;
  readonly openCallback: (subscription: Subscription) => Callback;
  readonly status: StatusCell;
  /** To NATS. */
  readonly isConnected: () => boolean;
  /** How often NATS was connected again. */
  readonly reconnects: () => number;
  /** Until when somebody holds its consumer on the server; null: nobody is known to. */
  readonly pausedUntil: () => Date | null;
  /** Makes the consumer anew at another place. Rejects with a RelayError. */
  readonly moveConsumer: (settings: ConsumerSettings, start: DeliverPolicy) => Promise<AlignedConsumer>;
}

const IDLE: PipelineStats = { held: 0, inFlight: 0, retrying: 0, oldestHeldAt: null, blocked: null };
const STARTING: SubscriptionState = { kind: "waiting", reason: "It is being started" };
const NOT_CONNECTED: SubscriptionState = { kind: "waiting", reason: "NATS is not connected" };
const MOVED_BY_ANOTHER = { kind: "waiting", reason: "Another relay moves it" } as const;
const LAST_ENDING: SubscriptionState = { kind: "asleep", reason: "What is in flight ends first" };
/** What is in flight when a seek comes. */
const SEEK_GRACE_MS = 5000;
/** Until it is looked again what another relay has left. */
const FOLLOW_AGAIN_MS = 1000;
/** A server writes what it counts every 100 ms, or later under load. */
const WRITTEN_AFTER_MS = 3000;
/** Between two lines about pauses that the callback asks for. */
const HOLD_LOG_INTERVAL_MS = 60_000;
/** The longest that a timer can wait at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function startSubscription(wanted: Subscription, parts: SubscriptionParts): RunningSubscription {
  const { logger, status } = parts;
  const { startingAt, endingAt } = wanted;
  const stopping = new AbortController();
  const moves = createMoves();
  const pace = createProbePace();
  const terms = createTerms(wanted, {
    openCallback: parts.openCallback,
    hasDeadLetters: parts.deadLetters !== null,
  });
  let holdLoggedAt = Number.NEGATIVE_INFINITY;
  const turns = createTurns(concurrencyOf(wanted), {
    onHold(holdMs) {
      if (performance.now() - holdLoggedAt < HOLD_LOG_INTERVAL_MS) return;
      holdLoggedAt = performance.now();
      logger.info("Nothing is sent: Retry-After asks for a pause", { until: toTime(holdMs) });
    },
  });
  const replaying = createReplaying(wanted, { terms, turns, status, observer: parts.observer });
  const settings = () => toConsumerSettings(terms.current.subscription);
  const place = createPlace({
    marks: status.moves,
    moveConsumer: (start) => parts.moveConsumer(settings(), start),
    readConsumer: () => parts.readConsumer(settings()),
    signal: stopping.signal,
  });
  const durable = createDurable({ ...parts, makeConsumer: makeUnlessMoved }, settings);
  const resets = createResetWatch({
    reconnects: parts.reconnects,
    writtenAfterMs: wanted.qos === "AT_MOST_ONCE" ? WRITTEN_AFTER_MS : 0,
    now: () => performance.now(),
  });
  let pipeline: Pipeline | null = null;
  let state = STARTING;
  /** Of what is in flight when the consuming ends; null: each ends by its own time limit. */
  let graceMs: number | null = null;
  /** Ends what the turn waits for. */
  let turn = new AbortController();
  /** Ends the consuming of the turn. */
  let halting = new AbortController();
  const unfollow = status.onChange(() => turn.abort());
  // Whoever takes it up again is not held back by what the callback asked for before.
  const unwatchRest = onTakenUp(status, () => restNow() !== null, turns.wake);
  const finished = run();

  /** Never rejects. */
  async function run(): Promise<void> {
    const ending = new AbortController();
    if (endingAt !== null) void closeAt(endingAt, ending.signal); // Never rejects.
    const guard = (await status.ready(stopping.signal))
      ? await openGuardForEver(() => parts.openGuard(wanted), { onWaiting, logger, signal: stopping.signal })
      : null;
    if (guard !== null) {
      place.adopt();
      while (!stopping.signal.aborted) await takeTurn(guard);
      await guard.close();
    }
    moves.close("the subscription was stopped");
    ending.abort();
  }

  /** Another relay that moves the consumer deletes it first. */
  async function makeUnlessMoved(...asked: Parameters<SubscriptionParts["makeConsumer"]>) {
    if (await place.isTakenElsewhere()) throw new RelayError("unavailable", MOVED_BY_ANOTHER.reason);
    return parts.makeConsumer(...asked);
  }

  function restNow() {
    const { current, isApplicationPaused } = status;
    return restOf(current, { isApplicationPaused, startingAt, now: new Date() });
  }

  async function takeTurn(guard: Guard): Promise<void> {
    turn = new AbortController();
    const signal = AbortSignal.any([turn.signal, stopping.signal]);
    if (place.isBeingMoved) {
      state = MOVED_BY_ANOTHER;
      return place.waitForMove(signal);
    }
    if (place.isMovedElsewhere) return follow(guard, signal);
    const move = moves.take();
    if (move !== null) turns.wake();
    if (move !== null) return carryOut(move, (start) => place.move(start, guard));
    const rest = restNow();
    if (rest === null) {
      pace.reset();
      state = STARTING;
      return consumeOnce(guard, false);
    }
    state = rest.state;
    if (state.kind === "failed") {
      const { resume } = terms.current.subscription;
      if (await pace.wait(state.cause, { resume, signal })) return consumeOnce(guard, true);
    } else await durable.makeDuring(restEnd(rest, signal), { guard, signal });
  }

  /** What was done before may come again, and is to be sent again. */
  async function follow(guard: Guard, signal: AbortSignal): Promise<void> {
    try {
      await place.follow(guard);
    } catch (error) {
      state = { kind: "waiting", reason: messageOf(error) };
      await sleep(FOLLOW_AGAIN_MS, signal);
    }
  }

  async function consumeOnce(guard: Guard, isProbe: boolean): Promise<void> {
    const own = new AbortController();
    halting = own;
    let isRecovering = isProbe;
    if (!stopping.signal.aborted) graceMs = null;

    /** A failure in another relay ends the consuming here too, save that of a probe. */
    function watch(): void {
      const rest = restNow();
      if (rest === null) isRecovering = false;
      const isInTheWay = rest !== null && !(isRecovering && rest.state.kind === "failed");
      if (isInTheWay || moves.isAsked || place.isBeingMoved || place.isMovedElsewhere) own.abort();
      if (rest !== null) state = rest.state;
      else if (own.signal.aborted) state = LAST_ENDING;
      else if (state.kind === "failed") state = { kind: "consuming" };
    }

    let isFirst = true;

    /** A consumer that was lost may have been moved by another relay, of which this one has not heard yet. */
    async function align(...[wanted, options]: Parameters<ConsumeParts["alignConsumer"]>) {
      if (!isFirst && (await place.isTakenElsewhere())) {
        own.abort();
        throw new RelayError("unavailable", MOVED_BY_ANOTHER.reason);
      }
      const aligned = await parts.alignConsumer(wanted, options);
      isFirst = false;
      resets.aligned(aligned.consumerCreated);
      if (aligned.change === "kept" || aligned.change === "updated")
        tellStepBack(wanted.durable, { before: options.position?.sequence ?? null, now: aligned.ackFloor });
      return aligned;
    }

    /** Of what an operator wants to have again nothing is suppressed. */
    const startPump: ConsumeParts["startPump"] = (wanted, handlers) =>
      parts.startPump(wanted, {
        ...handlers,
        onMessage(received) {
          if (resets.isReset(received.consumerSequence)) {
            logger.warn("Somebody reset the consumer on the server: its messages are sent again", {
              consumer: wanted.durable,
              from: received.message.sequence,
            });
            void guard.forget(); // At once in memory. Never rejects.
          }
          handlers.onMessage(received);
        },
      });

    const unwatch = status.onChange(watch);
    watch();
    await consume(
      {
        terms,
        turns,
        guard,
        isSkipped: status.isSkipped,
        isProbe,
        stopping: AbortSignal.any([own.signal, stopping.signal]),
        graceMs: () => graceMs,
        onPipeline: (current) => (pipeline = current),
        onWaiting,
        onConsuming: () => become({ kind: "consuming" }),
        onInterrupted: fail,
        onRecovered,
      },
      { ...parts, alignConsumer: align, startPump },
    );
    unwatch();
    pipeline = null;
  }

  /** While this relay was not there a server that forgot cannot be told from an operator who reset it. */
  function tellStepBack(
    consumer: string,
    { before, now }: { before: number | null; now: number | null },
  ): void {
    if (before === null || now === null || now >= before) return;
    logger.warn(
      "The consumer went back: the server forgot, or somebody reset it; what is done is not sent again",
      {
        consumer,
        before,
        now,
      },
    );
  }

  function onWaiting(reason: string): void {
    become({ kind: "waiting", reason });
  }

  /** A probe stays failed, whatever it does, until it is delivered. */
  function become(next: SubscriptionState): void {
    if (restNow() === null && !halting.signal.aborted) state = next;
  }

  function fail(cause: FailureCause): void {
    state = { kind: "failed", cause };
    status.fail(cause);
  }

  function onRecovered(): void {
    pace.reset();
    status.recover("recovery");
    become({ kind: "consuming" });
  }

  function show(): SubscriptionState {
    if (state === STARTING && !parts.isConnected()) return NOT_CONNECTED;
    if (state.kind !== "consuming") return state;
    const until = parts.pausedUntil();
    if (until !== null)
      return { kind: "asleep", reason: `Paused on the server until ${until.toISOString()}` };
    const { holdMs } = turns;
    if (holdMs === 0) return state;
    return { kind: "asleep", reason: `Retry-After asks for a pause until ${toTime(holdMs)}` };
  }

  async function closeAt(time: Date, signal: AbortSignal): Promise<void> {
    if (!(await sleepUntil(time, signal))) return;
    void status.end(time); // Never rejects; it may wait for NATS.
    await end(null);
    state = { kind: "closed" };
  }

  async function end(grace: number | null): Promise<void> {
    graceMs = grace;
    stopping.abort();
    // It may be closing already, without a limit.
    if (grace !== null) void pipeline?.close({ graceMs: grace });
    await Promise.all([finished, replaying.close(grace ?? MAX_TIMER_MS)]);
    unfollow();
    unwatchRest();
    await terms.close(0);
  }

  return {
    get subscription() {
      return terms.current.subscription;
    },
    state: show,
    status: () => status.current,
    stats: () => pipeline?.stats() ?? IDLE,
    async command(command) {
      await status.command(command);
      // Also where it changes no status: nothing but such a pause is in the way then.
      if (command.kind === "resume" || command.kind === "start") turns.wake();
    },
    notStored: () => status.notStored,
    async seek(start) {
      const moved = moves.ask(start);
      if (moves.isAsked && !stopping.signal.aborted) {
        graceMs = SEEK_GRACE_MS;
        halting.abort();
        void pipeline?.close({ graceMs }); // It may be closing already, without a limit.
        turn.abort();
      }
      await moved;
    },
    update(next) {
      terms.replace(next);
      turns.resize(concurrencyOf(next));
      turns.wake();
      pipeline?.resize();
      status.recover("configuration");
      turn.abort();
      // It may belong to another application now.
      if (status.isApplicationPaused) halting.abort();
    },
    declare: status.declare,
    forget: status.forget,
    replay: replaying.replay,
    // What an operator asks for is sent at once, in no turn, and asks for no pause.
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

function toTime(delayMs: number): string {
  return new Date(Date.now() + delayMs).toISOString();
}
