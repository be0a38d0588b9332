// Pulls messages for one subscription: as many as there is room for, one pull at a time.
//
//   idle --room--> pulling --filled, expired, refused--> idle
//   pulling --over, but not all has come--> pulling, until it has
//   pulling --given up, server lost, leader changed--> idle; the next pull has a subject of its own
//   any --consumer gone or another--> ended, onLost;  any --stop--> stopping --pull over--> ended
//
// After a lost connection or a silence nothing is pulled until the consumer is known to be the same: another relay may have
// moved it. The first pull then, as the very first, tells soon whether the consumer can be used at all.

import type { Msg } from "@nats-io/transport-node";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { startAlarm } from "#lib/ticks.ts";
import { createAckPermission } from "./ack-permission.ts";
import { apiPrefix } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { requestConsumerInfo } from "./info.ts";
import { type Capacity, createCredit } from "./credit.ts";
import { createIdentityCheck } from "./identity-check.ts";
import { createLiveness } from "./health.ts";
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
  /** Asked for and not yet come. */
  readonly outstanding: number;
  readonly pulls: number;
  readonly received: number;
  readonly silences: number;
  /** Of the last pull that did not end as it should. */
  readonly lastStatus: string | null;
}

export interface PumpOptions {
  readonly source: StreamRef & { readonly ackWaitMs: number };
  readonly durable: string;
  /** As the server wrote it: another one of that name is not pulled from. */
  readonly consumerCreated: string;
  /** What is known of the stream; null: nothing. A consumer that knows less, or a stream that has less, is lost. */
  readonly position: () => RememberedPosition | null;
  /** False: nothing is redelivered, so pulls are short and their end is waited for. */
  readonly acks: boolean;
  /** Of the consumer; 1: the next message waits for the ack of this one. */
  readonly maxAckPending: number;
  /** How many this relay has, this one included: of very many each asks for fewer signs of life. */
  readonly pumps: () => number;
  readonly capacity: Capacity;
  /** So many are held already, from a pump before: each of them is released here. */
  readonly held: number;
  /** Must return at once. */
  readonly onMessage: (received: Received) => void;
  /** Told within 5 s why the consumer cannot be used, though it may be there; and with null when it can, first of all too. */
  readonly onUsable: (obstacle: string | null) => void;
  /** Called once: the consumer or its stream is gone, or another one took its place, and the pump has ended. */
  readonly onLost: (reason: string) => void;
  readonly logger: Logger;
}

export interface Pump {
  /** One message that was handed over is no longer held. */
  release: () => void;
  /** How many may be held from now on; 0: no further pull. */
  setCapacity: (capacity: Capacity) => void;
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
const WATCH_ACKS_MS = 1000;
const WATCH_NO_ACKS_MS = 250;
/** After a start and a reconnect, and where pulls are refused, until the consumer must have shown that it can be used. */
const FIRST_SIGN_MS = 2000;
/** The same after a pull that nothing was heard of: that took 4 s of the 5 s within which it is to be told. */
const SECOND_SIGN_MS = 950;
/** While there is no room for a pull, the consumer is asked for so often, and its answer must come so soon. */
const ASK_MS = 2000;
const ANSWER_MS = 1500;
/** The connection pings each second: an answer that takes longer says that NATS, or this host, is slow just now. */
const CONTACT_MS = 2500;

export function startPump(connection: Connection, options: PumpOptions): Pump {
  const { source, durable, logger } = options;
  const isAckUrgent = options.maxAckPending === 1;
  const cannot = (why: string) => `Cannot consume ${source.stream} as ${durable}: ${why}`;
  const unanswered = cannot("its pulls are not answered");
  const pullSubject = `${apiPrefix(source.domain)}.CONSUMER.MSG.NEXT.${source.stream}.${durable}`;
  const credit = createCredit(options);
  const requests = createPullRequests({ ...options, ackWaitMs: source.ackWaitMs });
  const inbox = openPullInbox(connection, { onMsg, onError: (error) => lose(error.message) });
  const pace = createPullPace(pullNow);
  const liveness = createLiveness({ tell: tellUsable, canHear });
  const identity = createIdentityCheck(connection, {
    ref: { ...source, durable },
    consumerCreated: options.consumerCreated,
    position: options.position,
    onSame,
    onLost: lose,
    onUnknown: (reason) => liveness.expect(SECOND_SIGN_MS, reason),
  });
  const acks = createAckPermission(connection, { stream: source.stream, durable, tell: onAckPermission });
  const counts = { pulls: 0, received: 0, silences: 0 };
  let state: "running" | "stopping" | "ended" = "running";
  let pull: Pull | null = null;
  let heardAt = performance.now();
  let nobodiesInARow = 0;
  let purpose: PullPurpose = "usual";
  /** What a former pull may still bring is not to count for the next one. */
  let isInboxStale = false;
  let lastStatus: string | null = null;
  /** Why the consumer cannot be pulled from; null: it can, or it is not known yet. */
  let unusable: string | null = null;
  let onPullEnd: (() => void) | null = null;
  let ended: Promise<void> | null = null;
  let stopped: Promise<void> | null = null;

  function onConnect(): void {
    if (state !== "running" || !inbox.renew()) return;
    isInboxStale = false;
    endPull();
    pace.reset();
    liveness.stop();
    liveness.expect(FIRST_SIGN_MS, unanswered);
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
      const received = toReceived(msg, connection, { isAckUrgent });
      if (received === null) onStatus(msg);
      else onReceived(received, own);
    } catch (error) {
      logger.error("A pulled message could not be handed over", { durable, error: messageOf(error) });
    }
  }

  function onReceived(received: Received, own: Pull | null): void {
    counts.received += 1;
    pace.reset();
    nobodiesInARow = 0;
    const { bytes, pending } = received;
    const waitedMs = own === null || own.hasDelivered ? null : heardAt - own.sentAt;
    credit.take({ bytes, pending, waitedMs });
    if (own !== null) {
      countDelivered(own, received.bytes);
      if (own.left <= 0) endPull();
    }
    try {
      options.onMessage(received);
    } finally {
      liveness.heard();
      pullSoon();
    }
  }

  function onStatus(msg: Msg): void {
    const status = readPullStatus(msg);
    const verdict = judgePullStatus(status);
    if (isSignOfLife(verdict)) liveness.heard();
    if (verdict.kind === "alive") pace.reset();
    if (verdict.kind === "alive" || pull === null || !msg.subject.endsWith(`.${pull.id}`)) return;
    const own = pull;
    if (verdict.kind !== "again" && verdict.kind !== "filled")
      lastStatus = `${status.code} ${status.description}`;
    if (verdict.kind !== "nobody") nobodiesInARow = 0;
    // A replicated consumer may send this before the messages that are still to come.
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
        const wasShort = own.heardAt - own.sentAt < SHORT_PULL_MS;
        return wasShort ? pace.later(SHORT_PULL_MS) : pace.together();
      }
      case "filled":
        return pullNow();
      case "too-small":
        if (!own.hasDelivered) purpose = "large";
        return pullNow();
      case "later":
        liveness.expect(FIRST_SIGN_MS, cannot(status));
        return pace.later(verdict.delayMs);
      case "moved":
        endPull();
        isInboxStale = true;
        identity.require();
        liveness.expect(FIRST_SIGN_MS, cannot(status));
        return pace.later(verdict.delayMs);
      case "limit":
      case "limit-expires":
        liveness.expect(FIRST_SIGN_MS, cannot(status));
        requests.limit(verdict);
        return pace.later(SHORT_PULL_MS);
      case "nobody":
        nobodiesInARow += 1;
        liveness.expect(FIRST_SIGN_MS, cannot("nobody answers its pulls"));
        // Servers before 2.10 do not answer a pull of a consumer that is gone.
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
    if (room <= 0) return;
    if (isInboxStale && !inbox.renew()) return;
    isInboxStale = false;
    counts.pulls += 1;
    if (purpose === "usual" && !liveness.isUsable) purpose = "probe";
    const request = requests.next(room, purpose);
    pull = createPull(counts.pulls, request);
    connection.publish(pullSubject, request.body, { reply: inbox.subject(pull.id) });
    purpose = "usual";
  }

  /** At once if much is free, else in a moment: what becomes free until then is asked for in one pull. */
  function pullSoon(): void {
    if (pace.isBackingOff || pull !== null || state !== "running") return;
    if (credit.isWorthwhile()) pullNow();
    else if (credit.room() > 0) pace.gather();
  }

  function endPull(): void {
    pull = null;
    watching.soon();
    onPullEnd?.();
  }

  /** Returns when it is to be called again: while a pull is out, and nothing is wrong, when that is given up. */
  function watch(): number {
    const now = performance.now();
    if (!connection.isConnected) return now;
    acks.check();
    if (pull === null) askWithoutPull(now);
    else if (givenUpAt(pull) <= now) giveUp();
    return pull === null || acks.obstacle !== null ? now : givenUpAt(pull);
  }

  function askWithoutPull(now: number): void {
    if (credit.room() > 0 || now - heardAt < ASK_MS) return pullSoon();
    // No pull tells whether the consumer can be used.
    heardAt = now;
    if (liveness.isUsable) liveness.expect(ANSWER_MS, cannot("JetStream does not answer"));
    identity.ask();
  }

  function giveUp(): void {
    counts.silences += 1;
    endPull();
    isInboxStale = true;
    // What is on its way comes before the answer, and is held by then: no more than there is room for is asked for.
    identity.require();
    const wasUsable = liveness.isUsable;
    liveness.expect(SECOND_SIGN_MS, refusalOf(connection.status().lastError) ?? unanswered);
    if (wasUsable) pullNow();
    else pace.later(NOBODY_MS);
  }

  /** False: nothing is heard because the whole connection is slow or lost, which is told by itself. */
  function canHear(): boolean {
    if (state === "ended") return true;
    return connection.isConnected && performance.now() - connection.lastContactAt() < CONTACT_MS;
  }

  /** The server tells it to the connection, not to the pull. */
  function refusalOf(lastError: string | null): string | null {
    return lastError?.includes(`"${pullSubject}"`) === true ? cannot(lastError) : null;
  }

  function onSame(): void {
    if (credit.room() <= 0) liveness.heard();
    pullNow();
  }

  /** `obstacle`: of the pulls. */
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
      logger.error("The loss of a consumer was not dealt with", { durable, error: messageOf(error) });
    }
  }

  function end(): Promise<void> {
    if (ended !== null) return ended;
    state = "ended";
    watching.end();
    pace.cancel();
    liveness.stop();
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
   * A pull that nobody waits for any more must be gone before anything is given back: servers before 2.10 take a message
   * out for it, find nobody, and leave the message to its ack wait. Asked about the consumer, the server clears such pulls.
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
