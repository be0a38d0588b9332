// Runs one subscription: waits for its consumer, consumes, is paused, fails, probes, seeks, and drains in the end.
//
//   paused, stopped, scheduled (before startingAt)        failed: FAILURE, here or in another relay
//     |  ^                                                   |  ^
//     |  '-- pause, stop --.                  resume, start, |  | interrupted; a probe under AUTO stays
//     v                    |                  or by itself   v  | failed until it is delivered
//   waiting ---consumer aligned---> running <----------------'--'
//      ^                              |
//      '--consumer lost, NATS silent, seek'
//
//   any ---endingAt---> closed        any ---stop---> stopped
//
// A loop takes one turn after the other. Each turn reads the status again, and a change of status ends the turn. Only a turn
// touches the consumer and the guard.

import type { Callback } from "#callback/client.ts";
import { repeatDelayMs } from "#delivery/backoff.ts";
import type { FailureCause } from "#delivery/status.ts";
import { concurrencyOf, type DeliverPolicy, type Subscription } from "#delivery/subscription.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep, sleepUntil } from "#lib/sleep.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import { type ConsumerSettings, toConsumerSettings } from "#consumer/config.ts";
import { sendOnce } from "#pipeline/attempt.ts";
import { dryRun } from "#pipeline/dry-run.ts";
import type { Guard } from "#pipeline/guard.ts";
import { NO_MESSAGES, type Pipeline } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { consume, type ConsumeParts } from "./consume.ts";
import { createDurable, type MakeDurableParts } from "./make-durable.ts";
import { createSeekRequests, fulfil } from "./seek-requests.ts";
import { createClusterSeek } from "./cluster-seek.ts";
import { createReplaying } from "./replaying.ts";
import { createResetWatch, tellStepBack } from "./reset-watch.ts";
import {
  createProbePace,
  findIdleReason,
  findNextTry,
  MAX_TIMER_MS,
  onIdleEnd,
  untilIdleEnd,
} from "./idle.ts";
import type { RunningSubscription, SubscriptionState } from "./running.ts";
import type { Seat } from "./seats.ts";
import { createStandby } from "./standby.ts";
import type { StatusCell } from "./states.ts";

export interface SubscriptionParts extends ConsumeParts, MakeDurableParts {
  readonly openGuard: (subscription: Subscription) => Promise<Guard>;
  readonly openCallback: (subscription: Subscription) => Callback;
  readonly status: StatusCell;
  /** Of an ordered subscription; null: any number of relays may consume. */
  readonly seat: Seat | null;
  /** Whether NATS is connected. */
  readonly isConnected: () => boolean;
  /** Number of reconnects to NATS. */
  readonly reconnects: () => number;
  /** End of a pause of its consumer on the server (`nats consumer pause`); null: none is known. */
  readonly pausedUntil: () => Date | null;
  /** Re-creates the consumer at another position. Rejects with a RelayError. */
  readonly moveConsumer: (settings: ConsumerSettings, start: DeliverPolicy) => Promise<AlignedConsumer>;
}

const STARTING: SubscriptionState = { kind: "waiting", reason: "It is being started", isFault: true };
const NOT_CONNECTED: SubscriptionState = { kind: "waiting", reason: "NATS is not connected", isFault: true };
const MOVED_BY_ANOTHER = { kind: "waiting", reason: "Another relay is seeking", isFault: true } as const;
const LAST_ENDING: SubscriptionState = {
  kind: "waiting",
  reason: "Messages in flight end first",
  isFault: false,
};
/** Grace for messages in flight when a seek comes. */
const SEEK_GRACE_MS = 5000;
/** Delay before another try to adopt another relay's seek. */
const FOLLOW_AGAIN_MS = 1000;
/** nats-server writes delivery counts every 100 ms, later under load. */
const WRITTEN_AFTER_MS = 3000;
/** Between two log lines about `Retry-After` pauses. */
const HOLD_LOG_INTERVAL_MS = 60_000;
const SHOWN_WAIT_MS = 10_000;
const JOURNAL_BACKOFF = { initialMs: 500, maxMs: 5000 };

export function startSubscription(wanted: Subscription, parts: SubscriptionParts): RunningSubscription {
  const { logger, status } = parts;
  const { startingAt, endingAt } = wanted;
  const stopping = new AbortController();
  const seeks = createSeekRequests();
  const pace = createProbePace();
  const terms = createTerms(wanted, {
    openCallback: parts.openCallback,
    hasDeadLetters: parts.deadLetters !== null,
  });
  let holdLoggedAt = Number.NEGATIVE_INFINITY;
  const turns = createTurns(concurrencyOf(wanted), {
    rateLimit: wanted.rateLimit,
    onHold(holdMs) {
      if (performance.now() - holdLoggedAt < HOLD_LOG_INTERVAL_MS) return;
      holdLoggedAt = performance.now();
      logger.info("Sends nothing: the callback asked for a pause with Retry-After", {
        until: toTime(holdMs),
      });
    },
  });
  const replaying = createReplaying(wanted, { terms, turns, status, observer: parts.observer });
  const settings = () => toConsumerSettings(terms.current.subscription);
  const clusterSeek = createClusterSeek({
    marks: status.seekMarks,
    moveConsumer: (start) => parts.moveConsumer(settings(), start),
    readConsumer: () => parts.readConsumer(settings()),
    signal: stopping.signal,
  });
  const standby = createStandby({ ...parts, onUsable: () => halting.abort() });
  const durable = createDurable({ ...parts, makeConsumer: makeUnlessMoved }, settings);
  const resets = createResetWatch({
    reconnects: parts.reconnects,
    writtenAfterMs: wanted.qos === "AT_MOST_ONCE" ? WRITTEN_AFTER_MS : 0,
    now: () => performance.now(),
  });
  let pipeline: Pipeline | null = null;
  let state = STARTING;
  /** Grace for messages in flight when consuming ends; null: each ends by its own time limit. */
  let graceMs: number | null = null;
  /** Ends the wait of the current turn. */
  let turn = new AbortController();
  /** Ends the consuming of the current turn. */
  let halting = new AbortController();
  const unfollow = status.onChange(() => {
    if (status.current.consumerStatus === "FAILURE") turns.restart();
    turn.abort();
  });
  // A resume ends the pause that the callback asked for.
  const unwatchIdle = onIdleEnd(status, () => idleNow() !== null, turns.wake);
  const finished = run();

  /** Never rejects. */
  async function run(): Promise<void> {
    const ending = new AbortController();
    if (endingAt !== null) void closeAt(endingAt, ending.signal); // Never rejects.
    const guard = (await status.ready(stopping.signal))
      ? await openGuardForEver(() => parts.openGuard(wanted), { onWaiting, logger, signal: stopping.signal })
      : null;
    if (guard !== null) {
      clusterSeek.adopt();
      while (!stopping.signal.aborted) await takeTurn(guard);
      await guard.close();
    }
    seeks.close("the subscription was stopped");
    ending.abort();
  }

  /** Not while another relay seeks: that one deletes the consumer first. */
  async function makeUnlessMoved(...asked: Parameters<SubscriptionParts["makeConsumer"]>) {
    if (await clusterSeek.isTakenElsewhere()) throw new RelayError("unavailable", MOVED_BY_ANOTHER.reason);
    return parts.makeConsumer(...asked);
  }

  function idleNow() {
    const { current, isApplicationPaused } = status;
    return findIdleReason(current, { isApplicationPaused, startingAt, now: new Date() });
  }

  async function takeTurn(guard: Guard): Promise<void> {
    turn = new AbortController();
    const signal = AbortSignal.any([turn.signal, stopping.signal]);
    if (clusterSeek.isBeingMoved) {
      state = MOVED_BY_ANOTHER;
      return clusterSeek.waitForMove(signal);
    }
    if (clusterSeek.isMovedElsewhere) return follow(guard, signal);
    const seek = seeks.take();
    if (seek !== null) turns.wake();
    if (seek !== null) return fulfil(seek, (start) => clusterSeek.move(start, guard));
    const idle = idleNow();
    if (idle === null) {
      pace.reset();
      state = STARTING;
      return consumeOnce(guard, false);
    }
    state = idle.state;
    if (state.kind === "failed") {
      const { resume } = terms.current.subscription;
      if (await pace.wait(state.cause, { resume, signal })) return consumeOnce(guard, true);
    } else await durable.makeDuring(untilIdleEnd(idle, signal), { guard, signal });
  }

  /** Adopts another relay's seek: messages that were done may come again, and are sent again. */
  async function follow(guard: Guard, signal: AbortSignal): Promise<void> {
    try {
      await clusterSeek.follow(guard);
    } catch (error) {
      state = { kind: "waiting", reason: messageOf(error), isFault: true };
      await sleep(FOLLOW_AGAIN_MS, signal);
    }
  }

  async function consumeOnce(guard: Guard, isProbe: boolean): Promise<void> {
    const own = new AbortController();
    halting = own;
    let isRecovering = isProbe;
    if (!stopping.signal.aborted) graceMs = null;

    /** A failure in another relay ends consuming here too, except while this is a probe. */
    function watch(): void {
      const idle = idleNow();
      if (idle === null) isRecovering = false;
      const isInTheWay = idle !== null && !(isRecovering && idle.state.kind === "failed");
      if (isInTheWay || seeks.isAsked || clusterSeek.isBeingMoved || clusterSeek.isMovedElsewhere)
        own.abort();
      if (idle !== null) state = idle.state;
      else if (own.signal.aborted) state = LAST_ENDING;
      else if (state.kind === "failed") state = { kind: "running" };
    }

    let isFirst = true;

    /** Another relay may have moved a lost consumer, and its mark may not have arrived here yet. */
    async function align(...[wanted, options]: Parameters<ConsumeParts["alignConsumer"]>) {
      if (!isFirst && (await clusterSeek.isTakenElsewhere())) {
        own.abort();
        throw new RelayError("unavailable", MOVED_BY_ANOTHER.reason);
      }
      const aligned = await parts.alignConsumer(wanted, options);
      isFirst = false;
      resets.aligned(aligned.consumerCreated);
      tellStepBack(aligned, { before: options.position?.sequence ?? null, logger });
      return aligned;
    }

    const unwatch = status.onChange(watch);
    watch();
    const signal = AbortSignal.any([own.signal, stopping.signal]);
    const stretch = await standby.begin(signal);
    if (stretch !== null) {
      await consume(
        {
          terms,
          turns,
          guard,
          isSkipped: status.isSkipped,
          isProbe,
          isOneByOne: stretch.isOneByOne,
          lost: stretch.lost,
          stopping: signal,
          graceMs: () => graceMs,
          onPipeline: (current) => (pipeline = current),
          onWaiting,
          onConsuming: () => become({ kind: "running" }),
          onInterrupted: fail,
          onRecovered,
        },
        { ...parts, alignConsumer: align, startPump: resets.watch(parts.startPump, { guard, logger }) },
      );
      await stretch.end();
    }
    unwatch();
    pipeline = null;
  }

  function onWaiting(reason: string): void {
    become({ kind: "waiting", reason, isFault: true });
  }

  /** A subscription that probes stays failed until the probe is delivered. */
  function become(next: SubscriptionState): void {
    if (idleNow() === null && !halting.signal.aborted) state = next;
  }

  function fail(cause: FailureCause): void {
    if (cause.stops !== true) state = { kind: "failed", cause };
    status.fail(cause);
  }

  function onRecovered(): void {
    pace.reset();
    status.recover("recovery");
    become({ kind: "running" });
  }

  function show(): SubscriptionState {
    if (state === STARTING && !parts.isConnected()) return NOT_CONNECTED;
    const { waiting } = standby;
    if (waiting !== null && idleNow() === null) return { kind: "waiting", ...waiting };
    if (state.kind !== "running") return state;
    const until = parts.pausedUntil();
    if (until !== null)
      return { kind: "paused", reason: `Paused on the server until ${until.toISOString()}` };
    const gathering = pipeline?.stats().gathering ?? null;
    if (gathering !== null) return { kind: "waiting", reason: gathering, isFault: false };
    const { holdMs, pace: own } = turns;
    if (holdMs === 0 && (own.waitMs < SHOWN_WAIT_MS || pipeline?.stats().held === 0)) return state;
    const cause = holdMs > 0 ? "Retry-After" : "rateLimit";
    return {
      kind: "waiting",
      reason: `${cause}: sends nothing until ${toTime(own.waitMs)}`,
      isFault: false,
    };
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
    unwatchIdle();
    await terms.close(0);
  }

  return {
    get subscription() {
      return terms.current.subscription;
    },
    state: show,
    status: () => status.current,
    stats: () => pipeline?.stats() ?? NO_MESSAGES,
    parked: () => pipeline?.parked() ?? [],
    resumeParked: (key, how) => pipeline?.resumeParked(key, how) ?? "not-parked",
    pace: () => turns.pace,
    nextTryAt() {
      const { nextRetryAt } = pipeline?.stats() ?? NO_MESSAGES;
      return findNextTry(show(), { probeAt: pace.dueAt, waitMs: turns.pace.waitMs, nextRetryAt });
    },
    active: standby.active,
    oneByOne: () => standby.oneByOne,
    async command(command) {
      await status.command(command);
      // Also if the status does not change: it may only wait for a Retry-After pause to end.
      if (command.kind === "resume" || command.kind === "start") turns.wake();
    },
    notStored: () => status.notStored,
    async seek(start) {
      const moved = seeks.ask(start);
      if (seeks.isAsked && !stopping.signal.aborted) {
        graceMs = SEEK_GRACE_MS;
        halting.abort();
        void pipeline?.close({ graceMs }); // It may be closing already, without a limit.
        turn.abort();
      }
      await moved;
    },
    update(next) {
      terms.replace(next);
      turns.resize(concurrencyOf(next), next.rateLimit);
      turns.wake();
      pipeline?.resize();
      status.recover("configuration");
      turn.abort();
      // It may belong to another application now, and that may be paused.
      if (status.isApplicationPaused) halting.abort();
    },
    declare: status.declare,
    forget: status.forget,
    replay: replaying.replay,
    // A test is sent at once, outside of the turns, and its Retry-After pauses nothing.
    test: (message) => terms.use((own) => sendOnce(message, own, stopping.signal)),
    dryRun: (message) => terms.use((own) => dryRun(message, own, stopping.signal)),
    recover: () => status.recover("configuration"),
    async stop(grace) {
      await end(grace);
      if (state.kind !== "closed") state = { kind: "stopped", reason: "The relay ended it" };
    },
  };
}

function toTime(delayMs: number): string {
  return new Date(Date.now() + delayMs).toISOString();
}

/** Retries until the state directory can be used; null: `signal` aborted first. Never rejects. */
async function openGuardForEver(
  open: () => Promise<Guard>,
  { onWaiting, logger, signal }: { onWaiting: (reason: string) => void; logger: Logger; signal: AbortSignal },
): Promise<Guard | null> {
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await open();
    } catch (error) {
      const reason = `Cannot open the journal: ${messageOf(error)}`;
      if (tryNumber === 1) logger.error("Subscription waits", { reason });
      onWaiting(reason);
      const delayMs = repeatDelayMs(tryNumber, { ...JOURNAL_BACKOFF, random: Math.random() });
      if (!(await sleep(delayMs, signal))) return null;
    }
  }
}
