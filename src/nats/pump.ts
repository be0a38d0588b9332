// Pulls messages for one subscription: as many as there is room for, one pull at a time.
//
//   idle --room--> pulling --filled, expired, refused, silent, server lost--> idle
//   any --consumer gone or another--> ended, onLost;  any --stop--> stopping --pull over--> ended
//
// After a lost connection or a silence nothing is pulled until the consumer is known to be the same: another relay may have
// moved it.

import type { Msg } from "@nats-io/transport-node";

import { messageOf } from "#lib/errors.ts";
import { startTicks } from "#lib/ticks.ts";

import { apiPrefix } from "./api.ts";
import type { Connection } from "./connection.ts";
import { requestConsumerInfo } from "./consumer-info.ts";
import { createConsumerProof } from "./consumer-proof.ts";
import { createDemand } from "./demand.ts";
import { openPullInbox } from "./pull-inbox.ts";
import type { PumpOptions, PumpStats } from "./pump-options.ts";
import { createPullPace } from "./pull-pace.ts";
import { createPullRequests, pullTiming } from "./pull-request.ts";
import { judgePullStatus, type PullVerdict, readPullStatus } from "./pull-status.ts";
import { createPull, isOverdue, isSilent, type Pull } from "./pull.ts";
import { type Received, toReceived } from "./received.ts";
import { settlesWithin } from "./settles-within.ts";

export interface Pump {
  /** One message that was handed over is no longer held. */
  release: () => void;
  /** How many may be held from now on; 0: no further pull. */
  setCapacity: (capacity: number) => void;
  /** No further pull; resolves when nothing can come any more (bounded). What still comes is handed over. */
  stop: () => Promise<void>;
  stats: () => PumpStats;
}

const NOBODY_MS = 200;
/** So many pulls in a row that nobody answers: the consumer is looked for. */
const NOBODY_LIMIT = 5;
/** A pull that is over sooner than this is not repeated at once. */
const SHORT_PULL_MS = 50;
const STOP_SLACK_MS = 1000;
const FORGET_MS = 1000;

export function startPump(connection: Connection, options: PumpOptions): Pump {
  const { source, durable, logger } = options;
  const timing = pullTiming({ acks: options.acks, ackWaitMs: source.ackWaitMs });
  const isAckUrgent = options.maxAckPending === 1;
  const pullSubject = `${apiPrefix(source.domain)}.CONSUMER.MSG.NEXT.${source.stream}.${durable}`;
  const demand = createDemand(options.capacity);
  const requests = createPullRequests(timing);
  const inbox = openPullInbox(connection, { onMsg, onError: (error) => lose(error.message) });
  const pace = createPullPace(pullNow);
  const proof = createConsumerProof(connection, {
    ref: { ...source, durable },
    consumerCreated: options.consumerCreated,
    onProven: pullNow,
    onLost: lose,
    logger,
  });
  const counts = { pulls: 0, received: 0, silences: 0 };
  let state: "running" | "stopping" | "ended" = "running";
  let pull: Pull | null = null;
  let nobodiesInARow = 0;
  let isNextUnbounded = false;
  let lastStatus: string | null = null;
  let onPullEnd: (() => void) | null = null;

  function onConnect(): void {
    if (state !== "running" || !inbox.renew()) return;
    endPull();
    pace.reset();
    pullNow();
  }

  function onMsg(msg: Msg): void {
    if (pull !== null) pull.heardAt = performance.now();
    try {
      const received = toReceived(msg, connection, { isAckUrgent });
      if (received === null) onStatus(msg);
      else onReceived(received);
    } catch (error) {
      logger.error("A pulled message could not be handed over", { durable, error: messageOf(error) });
    }
  }

  function onReceived(received: Received): void {
    counts.received += 1;
    pace.reset();
    nobodiesInARow = 0;
    demand.take(received.message.body.byteLength);
    if (pull !== null) {
      pull.left -= 1;
      pull.hasDelivered = true;
      if (pull.left <= 0) endPull();
    }
    try {
      options.onMessage(received);
    } finally {
      pullSoon();
    }
  }

  function onStatus(msg: Msg): void {
    const status = readPullStatus(msg);
    const verdict = judgePullStatus(status);
    if (verdict.kind === "alive" || pull === null || !msg.subject.endsWith(`.${pull.id}`)) return;
    const ended = pull;
    endPull();
    if (verdict.kind !== "again") lastStatus = `${status.code} ${status.description}`;
    if (verdict.kind !== "nobody") nobodiesInARow = 0;
    follow(verdict, ended);
  }

  function follow(verdict: Exclude<PullVerdict, { kind: "alive" }>, ended: Pull): void {
    switch (verdict.kind) {
      case "again": {
        const wasShort = ended.heardAt - ended.sentAt < SHORT_PULL_MS && !ended.hasDelivered;
        return wasShort ? pace.later(SHORT_PULL_MS) : pullNow();
      }
      case "too-small":
        isNextUnbounded = !ended.hasDelivered;
        return pullNow();
      case "later":
        return pace.later(verdict.delayMs);
      case "limit":
      case "limit-expires":
        requests.limit(verdict);
        return pace.later(SHORT_PULL_MS);
      case "nobody":
        nobodiesInARow += 1;
        // Servers before 2.10 do not answer a pull of a consumer that is gone.
        if (nobodiesInARow % NOBODY_LIMIT === 0) proof.doubt();
        return pace.later(NOBODY_MS);
      case "lost":
        return lose(verdict.reason);
    }
  }

  function pullNow(): void {
    pace.cancel();
    if (state !== "running" || pull !== null || !inbox.isOpen || !connection.isConnected) return;
    if (proof.isNeeded) return proof.ask();
    const batch = Math.min(demand.room(), isNextUnbounded ? 1 : requests.maxBatch);
    if (batch <= 0) return;
    counts.pulls += 1;
    pull = createPull({ id: counts.pulls, batch, expiresMs: requests.expiresMs });
    connection.publish(pullSubject, requests.body(batch, isNextUnbounded), { reply: inbox.subject(pull.id) });
    isNextUnbounded = false;
  }

  /** At once if much is free, else in a moment: what becomes free until then is asked for in one pull. */
  function pullSoon(): void {
    if (pace.isBackingOff || pull !== null || state !== "running") return;
    if (demand.isWorthwhile()) pullNow();
    else if (demand.room() > 0) pace.gather();
  }

  function endPull(): void {
    pull = null;
    onPullEnd?.();
  }

  function watch(): void {
    if (!connection.isConnected) return;
    if (pull === null) return pullSoon();
    if (!isSilent(pull, timing) && !isOverdue(pull)) return;
    counts.silences += 1;
    endPull();
    // What is on its way comes before the answer, and is held by then: no more than there is room for is asked for.
    proof.doubt();
    pullNow();
  }

  function lose(reason: string): void {
    if (state !== "running") return;
    void end();
    try {
      options.onLost(reason);
    } catch (error) {
      logger.error("The loss of a consumer was not dealt with", { durable, error: messageOf(error) });
    }
  }

  async function end(): Promise<void> {
    state = "ended";
    endWatch();
    pace.cancel();
    forget();
    endPull();
    await inbox.close();
  }

  async function stop(): Promise<void> {
    if (state !== "running") return;
    state = "stopping";
    pace.cancel();
    if (!options.acks && pull !== null && connection.isConnected) {
      const { promise, resolve } = Promise.withResolvers<void>();
      onPullEnd = resolve;
      await settlesWithin(promise, requests.expiresMs + STOP_SLACK_MS);
    }
    const isPullLeft = pull !== null;
    await end();
    if (isPullLeft) await settlesWithin(forgetPulls(), FORGET_MS);
  }

  /**
   * A pull that nobody waits for any more must be gone before anything is given back: servers before 2.10 take a message
   * out for it, find nobody, and leave the message to its ack wait. Asked about the consumer, the server clears such pulls.
   */
  async function forgetPulls(): Promise<void> {
    await requestConsumerInfo(connection, { ...source, durable });
  }

  const endWatch = startTicks(timing.watchMs, watch);
  const forget = connection.onReconnect(() => {
    proof.doubt();
    onConnect();
  });
  onConnect();

  return {
    release: () => {
      demand.release();
      pullSoon();
    },
    setCapacity: (capacity) => {
      demand.setCapacity(capacity);
      pullSoon();
    },
    stop,
    stats: () => ({
      ...counts,
      held: demand.held,
      capacity: demand.capacity,
      outstanding: pull?.left ?? 0,
      lastStatus,
    }),
  };
}
