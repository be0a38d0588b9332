// The pump of a subscription: pulls as many messages as there is credit for, one pull at a time.
//
//   idle --room--> pulling --filled, expired, refused--> idle
//   pulling --ended, some messages still on their way--> pulling, until they are here
//   pulling --given up, server lost, leader changed--> idle; the next pull has a subject of its own
//   any --consumer gone or replaced--> ended, onLost;  any --stop--> stopping --pull over--> ended
//
// After a lost connection or a silence, the pump checks the consumer's identity before it pulls again: another relay may have
// moved the consumer. The first pull after that, and the very first, is a probe: it shows soon whether the consumer is usable.

import type { Msg } from "@nats-io/transport-node";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { startAlarm } from "#lib/ticks.ts";
import { createAckPermission } from "./ack-permission.ts";
import { apiPrefix } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { requestConsumerInfo } from "./info.ts";
import { type Capacity, createCredit, type Room } from "./credit.ts";
import { createIdentityCheck } from "./identity-check.ts";
import { createConsumerHealth } from "./health.ts";
import { openPullInbox } from "./pull-inbox.ts";
import {
  createPullRequests,
  type PullPurpose,
  createPullPace,
  countDelivered,
  createPull,
  givenUpAt,
  type Pull,
} from "./pull.ts";
import { judgePullStatus, type PullVerdict, readPullStatus } from "#nats/pull-status.ts";
import type { RememberedPosition } from "./position.ts";
import { type Received, toReceived } from "./received.ts";
import { settlesWithin } from "#lib/settles-within.ts";
import type { StreamRef } from "#nats/stream.ts";

interface PumpStats {
  readonly held: number;
  readonly capacity: number;
  /** Messages asked for that have not come yet. */
  readonly outstanding: number;
  readonly pulls: number;
  readonly received: number;
  readonly silences: number;
  /** Status of the last pull that did not end normally. */
  readonly lastStatus: string | null;
}

export interface PumpOptions {
  readonly source: StreamRef & { readonly ackWaitMs: number };
  readonly durable: string;
  /** As the server wrote it: the pump does not pull from another consumer of that name. */
  readonly consumerCreated: string;
  /** What Relay remembers of the stream; null: nothing. A consumer or a stream that is behind it counts as lost. */
  readonly position: () => RememberedPosition | null;
  /** False: nothing is redelivered, so pulls are short and `stop` waits for their end. */
  readonly acks: boolean;
  /** The consumer's limit; 1: the next message waits for the ack of this one. */
  readonly maxAckPending: number;
  /** Number of pumps of this relay: with very many, each one asks for fewer heartbeats. */
  readonly pumps: () => number;
  readonly capacity: Capacity;
  /** See `createCredit`. */
  readonly room?: ((limit: number) => Room) | undefined;
  /** Messages still held from a former pump; they are released here. */
  readonly held: number;
  /** Must return at once. */
  readonly onMessage: (received: Received) => void;
  /** Gets, within 5 s, why the consumer is unusable, though it may exist; null: it is usable, also the first time. */
  readonly onUsable: (obstacle: string | null) => void;
  /** Called once, when the consumer or its stream is gone or was replaced; the pump has ended. */
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

export interface Pump {
  /** One handed-over message is no longer held. */
  release: () => void;
  /** Sets how many messages may be held; 0: no further pull. */
  setCapacity: (capacity: Capacity) => void;
  /** Stops pulling. Resolves when no message can come any more (bounded); those that still come are handed over. */
  stop: () => Promise<void>;
  stats: () => PumpStats;
}

const NOBODY_MS = 200;
/** After this many unanswered pulls in a row, check that the consumer exists. */
const NOBODY_LIMIT = 5;
/** A pull that ended sooner than this is not repeated at once. */
const SHORT_PULL_MS = 50;
const STOP_SLACK_MS = 1000;
const FORGET_MS = 1000;
const WATCH_ACKS_MS = 1000;
const WATCH_NO_ACKS_MS = 250;
/** Time for the first sign of life: after a start, a reconnect, or a refused pull. */
const FIRST_SIGN_MS = 2000;
/** The same after a silent pull, which already took 4 s of the 5 s within which it must be reported. */
const SECOND_SIGN_MS = 950;
/** Without room for a pull, ask for the consumer this often; the answer must come within `ANSWER_MS`. */
const ASK_MS = 2000;
const ANSWER_MS = 1500;
/** The connection pings each second: without a pong for this long, NATS or this host is slow. */
const PONG_MS = 2500;

export function startPump(connection: Connection, options: PumpOptions): Pump {
  const { source, durable, logger } = options;
  const cannot = (why: string) => `Cannot consume ${source.stream} as ${durable}: ${why}`;
  const unanswered = cannot("its pulls are not answered");
  const pullSubject = `${apiPrefix(source.domain)}.CONSUMER.MSG.NEXT.${source.stream}.${durable}`;
  const credit = createCredit(options);
  const requests = createPullRequests({ ...options, ackWaitMs: source.ackWaitMs });
  const inbox = openPullInbox(connection, { onMsg, onError: (error) => lose(error.message) });
  const pace = createPullPace(pullNow);
  const health = createConsumerHealth({ tell: tellUsable, canHear });
  const identity = createIdentityCheck(connection, {
    ref: { ...source, durable },
    consumerCreated: options.consumerCreated,
    position: options.position,
    onSame,
    onLost: lose,
    onUnknown: (reason) => health.expect(SECOND_SIGN_MS, reason),
  });
  const acks = createAckPermission(connection, { stream: source.stream, durable, tell: onAckPermission });
  const counts = { pulls: 0, received: 0, silences: 0 };
  let state: "running" | "stopping" | "ended" = "running";
  let pull: Pull | null = null;
  let heardAt = performance.now();
  let nobodiesInARow = 0;
  let purpose: PullPurpose = "usual";
  /** Late messages of a former pull must not count for the next one. */
  let isInboxStale = false;
  let lastStatus: string | null = null;
  /** Why the consumer is unusable; null: it is usable, or unknown. */
  let unusable: string | null = null;
  let onPullEnd: (() => void) | null = null;
  let ended: Promise<void> | null = null;
  let stopped: Promise<void> | null = null;

  function onConnect(): void {
    if (state !== "running" || !inbox.renew()) return;
    isInboxStale = false;
    endPull();
    pace.reset();
    health.stop();
    health.expect(FIRST_SIGN_MS, unanswered);
    pullNow();
  }

  function onAckPermission(): void {
    watching.soon();
    tellUsable(unusable);
  }

  function onMsg(msg: Msg, isFormer: boolean): void {
    heardAt = performance.now();
    const own = isFormer ? null : pull;
    if (own !== null) own.heardAt = heardAt;
    try {
      const received = toReceived(msg, connection, { isAckUrgent: options.maxAckPending === 1 });
      if (received === null) onStatus(msg);
      else onReceived(received, own);
    } catch (error) {
      logger.error("Cannot hand over a pulled message", { durable, error: messageOf(error) });
    }
  }

  function onReceived(received: Received, own: Pull | null): void {
    counts.received += 1;
    pace.reset();
    nobodiesInARow = 0;
    const waitedMs = own === null || own.hasDelivered ? null : heardAt - own.sentAt;
    credit.take({ bytes: received.bytes, pending: received.pending, waitedMs });
    requests.delivered();
    if (own !== null) {
      countDelivered(own, received.bytes);
      if (own.left <= 0) endPull();
    }
    try {
      options.onMessage(received);
    } finally {
      health.heard();
      pullSoon();
    }
  }

  function onStatus(msg: Msg): void {
    const status = readPullStatus(msg);
    const verdict = judgePullStatus(status);
    if (isSignOfLife(verdict)) health.heard();
    if (verdict.kind === "alive") pace.reset();
    if (verdict.kind === "alive" || pull === null || !msg.subject.endsWith(`.${pull.id}`)) return;
    const own = pull;
    if (verdict.kind !== "again" && verdict.kind !== "filled")
      lastStatus = `${status.code} ${status.description}`;
    if (verdict.kind !== "nobody") nobodiesInARow = 0;
    // A replicated consumer may send this status before its last messages.
    if (verdict.kind !== "filled") own.left -= status.pending ?? own.left;
    own.isOver = true;
    watching.soon();
    if (own.left <= 0) endPull();
    follow(verdict, { own, status: `${status.code} ${status.description}` });
  }

  function follow(
    verdict: Exclude<PullVerdict, { kind: "alive" }>,
    { own, status }: { own: Pull; status: string },
  ): void {
    switch (verdict.kind) {
      case "again": {
        if (own.hasDelivered) return pullNow();
        return own.heardAt - own.sentAt < SHORT_PULL_MS ? pace.later(SHORT_PULL_MS) : pace.together();
      }
      case "filled":
        return pullNow();
      case "too-small":
        if (!own.hasDelivered) purpose = requests.tooSmall(own, { isHolding: credit.held > 0 });
        return pullNow();
      case "later":
        health.expect(FIRST_SIGN_MS, cannot(status));
        return pace.later(verdict.delayMs);
      case "moved":
        endPull();
        isInboxStale = true;
        identity.require();
        health.expect(FIRST_SIGN_MS, cannot(status));
        return pace.later(verdict.delayMs);
      case "limit":
      case "limit-expires":
        health.expect(FIRST_SIGN_MS, cannot(status));
        requests.limit(verdict);
        return pace.later(SHORT_PULL_MS);
      case "nobody":
        nobodiesInARow += 1;
        health.expect(FIRST_SIGN_MS, cannot("no server answers its pulls"));
        // Servers before 2.10 do not answer pulls of a deleted consumer.
        if (nobodiesInARow % NOBODY_LIMIT === 0) identity.require();
        return pace.later(NOBODY_MS);
      case "lost":
        return lose(verdict.reason);
    }
  }

  function pullNow(): void {
    pace.cancel();
    if (state !== "running" || pull !== null || !inbox.isOpen || !connection.isConnected) return;
    if (identity.isRequired) return identity.ask();
    const room = credit.room();
    if (room.messages <= 0 || !requests.mayFit(room)) return;
    if (isInboxStale && !inbox.renew()) return;
    isInboxStale = false;
    counts.pulls += 1;
    if (room.bytes <= 0) purpose = "large";
    else if (purpose === "usual" && !health.isUsable) purpose = "probe";
    const request = requests.next(room, purpose);
    pull = createPull(counts.pulls, request);
    connection.publish(pullSubject, request.body, { reply: inbox.subject(pull.id) });
    purpose = "usual";
  }

  /** Pulls at once if much is free, else a little later: slots that become free until then go into the same pull. */
  function pullSoon(): void {
    if (pace.isBackingOff || pull !== null || state !== "running") return;
    if (credit.isWorthwhile()) pullNow();
    else if (credit.room().messages > 0) pace.gather();
  }

  function endPull(): void {
    pull = null;
    watching.soon();
    onPullEnd?.();
  }

  /** Returns when to call it again: with a healthy pull open, when that would be given up. */
  function watch(): number {
    const now = performance.now();
    if (!connection.isConnected) return now;
    acks.check();
    if (pull === null) askWithoutPull(now);
    else if (givenUpAt(pull) <= now) giveUp();
    return pull === null || acks.obstacle !== null ? now : givenUpAt(pull);
  }

  function askWithoutPull(now: number): void {
    if (credit.room().messages > 0 || now - heardAt < ASK_MS) return pullSoon();
    // Without a pull, only a question tells whether the consumer is usable.
    heardAt = now;
    if (health.isUsable) health.expect(ANSWER_MS, cannot("JetStream does not answer"));
    identity.ask();
  }

  function giveUp(): void {
    counts.silences += 1;
    endPull();
    isInboxStale = true;
    // Messages on their way arrive before the identity check's answer, so the next pull does not ask for too much.
    identity.require();
    const wasUsable = health.isUsable;
    health.expect(SECOND_SIGN_MS, refusalOf(connection.status().lastError) ?? unanswered);
    if (wasUsable) pullNow();
    else pace.later(NOBODY_MS);
  }

  /** False: the whole connection is slow or lost, which is reported elsewhere. */
  function canHear(): boolean {
    if (state === "ended") return true;
    return connection.isConnected && performance.now() - connection.lastPongAt() < PONG_MS;
  }

  /** The server reports a forbidden publish to the connection, not to the pull. */
  function refusalOf(lastError: string | null): string | null {
    return lastError?.includes(`"${pullSubject}"`) === true ? cannot(lastError) : null;
  }

  function onSame(): void {
    if (credit.room().messages <= 0) health.heard();
    pullNow();
  }

  /** `obstacle`: why pulls fail; an ack obstacle counts before it. */
  function tellUsable(obstacle: string | null): void {
    unusable = obstacle;
    if (state === "running") options.onUsable(acks.obstacle ?? obstacle);
  }

  function lose(reason: string): void {
    if (state !== "running") return;
    void end();
    try {
      options.onLost(reason);
    } catch (error) {
      logger.error("Cannot handle the loss of a consumer", { durable, error: messageOf(error) });
    }
  }

  function end(): Promise<void> {
    if (ended !== null) return ended;
    state = "ended";
    watching.end();
    pace.cancel();
    health.stop();
    acks.close();
    forget();
    endPull();
    ended = inbox.close();
    return ended;
  }

  async function stopOnce(): Promise<void> {
    if (state !== "running") return end();
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
   * An abandoned pull must be gone before messages are given back: servers before 2.10 assign a message to it, find nobody, and
   * redeliver the message only after the ack wait. A CONSUMER.INFO request makes the server drop such pulls.
   */
  async function forgetPulls(): Promise<void> {
    await requestConsumerInfo(connection, { ...source, durable });
  }

  const watching = startAlarm(options.acks ? WATCH_ACKS_MS : WATCH_NO_ACKS_MS, watch);
  const forget = connection.onReconnect(() => {
    identity.require();
    onConnect();
  });
  onConnect();

  return {
    release: () => {
      credit.release();
      pullSoon();
    },
    setCapacity: (capacity) => {
      credit.setCapacity(capacity);
      pullSoon();
    },
    stop: () => (stopped ??= stopOnce()),
    stats: () => ({
      ...counts,
      held: credit.held,
      capacity: credit.window,
      outstanding: pull?.left ?? 0,
      lastStatus,
    }),
  };
}

function isSignOfLife({ kind }: PullVerdict): boolean {
  return kind === "alive" || kind === "again" || kind === "filled" || kind === "too-small";
}
