// The connection to NATS: connects, reconnects for ever, sends requests and acks. One object over every reconnect.
//
//   connecting --connected--> up --server lost--> down --connected again--> up
//   up --server silent--> down; another server is tried first
//   up, down --given up by the client library (bad credentials, for one)--> connecting
//   any --close--> closed

import {
  createInbox,
  type NatsConnection,
  PermissionViolationError,
  type Server,
} from "@nats-io/transport-node";
import { repeatDelayMs } from "#delivery/backoff.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import { sleep } from "#lib/sleep.ts";
import { toNatsWords } from "./fault-words.ts";
import { createAuthMask } from "./auth-mask.ts";
import {
  type AckRefusals,
  type AckSender,
  createAckRefusals,
  createAckSender,
  writeAcks,
} from "./ack-sender.ts";
import { createConnectionLiveness } from "./liveness.ts";
import { createRequests, type Requests } from "./requests.ts";
import { connect, type NatsSettings, toConnectionOptions } from "./settings.ts";
import { settlesWithin } from "#lib/settles-within.ts";

interface ConnectionStatus {
  readonly connected: boolean;
  /** `host:port`, without credentials; null: never connected. */
  readonly server: string | null;
  readonly serverVersion: string | null;
  readonly reconnects: number;
  readonly lastError: string | null;
}

export interface Connection {
  /** False too while the server has not answered a ping for some seconds. */
  readonly isConnected: boolean;
  /** `performance.now()` when the last answered ping was sent; -Infinity: none was. */
  lastPongAt: () => number;
  /** Waits for the connection. False: `signal` aborted, or it was closed. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  status: () => ConnectionStatus;
  /** Calls `listener` after each connect, the first included; maybe twice for one. Returns the unsubscribe. */
  onReconnect: (listener: () => void) => () => void;
  /** True if the server has seen everything sent so far. */
  flush: (timeoutMs: number) => Promise<boolean>;
  /** Sends what is queued, then closes; takes 2 s at most. */
  close: () => Promise<void>;
  /** Number of acks that no answered ping has confirmed yet. */
  readonly unconfirmedAcks: number;

  /** For this room only. The current client; null: none. A reconnect may replace it. */
  client: () => NatsConnection | null;
  /** For this room only. A new inbox subject. */
  newInbox: () => string;
  /** For this room only. Sends an ack, soon or after the next connect, and repeats it until a ping confirms it. */
  publishAck: AckSender["send"];
  /**
   * For this room only. Calls `listener` when the server forbids an ack for that consumer. Returns the unsubscribe.
   */
  onAckRefused: AckRefusals["on"];
  /** For this room only. Largest message with its headers, in bytes. */
  readonly maxPayload: number;
  /** For this room only. Never rejects. Fails at once while NATS does not answer. */
  request: Requests["send"];
  /** For this room only. Sends now, or drops it if not connected. */
  publish: (subject: string, payload: string, options?: { reply: string }) => void;
}

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
const CLOSE_MS = 2000;
const EARLY_PING_ACKS = 2000;
/** With a full send buffer a connection cannot be left in order: after this time it is closed. */
const LEAVE_MS = 1000;
/** For this long, a silent server is tried only if there is no other. */
const AVOID_MS = 30_000;
const SAME_REASON_SILENCE_MS = 60_000;

/** Connects in the background and retries while no server is there. `signal` closes it, as `close` does. */
export function openConnection(
  settings: NatsSettings,
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Connection {
  const options = { ...toConnectionOptions(settings), reconnectToServer: choose };
  const mask = createAuthMask(settings.auth);
  const acks = createAckSender({
    publish: (subjects) => writeAcks(client, subjects, send),
    isUp: () => isUp,
  });
  const liveness = createConnectionLiveness({ acks, logger, onDead: () => client !== null && leave(client) });
  const newInbox = () => createInbox(settings.inboxPrefix);
  const requests = createRequests({
    client: () => (isUp && !liveness.isSilent() ? client : null),
    newInbox,
  });
  const listeners = new Set<() => void>();
  const ackRefusals = createAckRefusals();
  const ended = new AbortController();
  let client: NatsConnection | null = null;
  let isUp = false;
  let hasBeenUp = false;
  let reconnects = 0;
  /** Number of disconnects and reconnects that the library reported. */
  let changes = 0;
  let server: string | null = null;
  let serverVersion: string | null = null;
  let lastError: string | null = null;
  let logged: { readonly reason: string; readonly at: number } | null = null;
  let refusedAt = Number.NEGATIVE_INFINITY;
  let closing: Promise<void> | null = null;
  let avoided = { server: "", until: 0 };
  /** Other servers of the cluster, known from a connection that was closed. */
  let discovered: readonly string[] = [];

  /** Connects, lets the library reconnect, and starts again when the library gives up. */
  async function run(): Promise<void> {
    for (let tries = 1; !ended.signal.aborted; tries += 1) {
      const dialled = await dial();
      if (dialled !== null) {
        const upAt = performance.now();
        await hold(dialled);
        if (performance.now() - upAt > MAX_RETRY_MS) tries = 1;
      }
      const random = Math.random();
      await sleep(
        repeatDelayMs(tries, { initialMs: FIRST_RETRY_MS, maxMs: MAX_RETRY_MS, random }),
        ended.signal,
      );
    }
  }

  async function dial(): Promise<NatsConnection | null> {
    try {
      return await connect({ ...options, servers: [...settings.servers, ...discovered] });
    } catch (error) {
      tellDown(mask(messageOf(error)));
      return null;
    }
  }

  /** Until the library gives up, or `close`. */
  async function hold(held: NatsConnection): Promise<void> {
    if (ended.signal.aborted) return held.close();
    client = held;
    goUp(held);
    void follow(held);
    const reason = await held.closed();
    client = null;
    goDown(reason instanceof Error ? mask(reason.message) : "connection closed");
  }

  /** Leaves a dead connection. The server itself may be well: without another one, it is tried again. */
  function leave(held: NatsConnection): void {
    const seen = changes;
    avoided = { server: held.getServer(), until: performance.now() + AVOID_MS };
    goDown("no answer to pings");
    void settlesWithin(held.reconnect(), LEAVE_MS);
    setTimeout(() => {
      if (changes !== seen || held !== client) return;
      const others = held.getServers().filter(({ gossiped }) => gossiped);
      discovered = others.map(({ listen }) => listen);
      void settlesWithin(held.close(), CLOSE_MS);
    }, LEAVE_MS);
  }

  /** null: the library chooses. */
  function choose(servers: readonly Server[]): Server | null {
    const isAvoided = servers[0]?.listen === avoided.server && performance.now() < avoided.until;
    return isAvoided ? (servers.find(({ listen }) => listen !== avoided.server) ?? null) : null;
  }

  async function follow(held: NatsConnection): Promise<void> {
    for await (const change of held.status()) {
      if (held !== client) return;
      if (change.type === "disconnect" || change.type === "reconnect") changes += 1;
      if (change.type === "disconnect") goDown(lastError ?? "connection lost");
      else if (change.type === "reconnect") goUp(held);
      else if (change.type === "error") onError(change.error);
    }
  }

  function onError(error: Error): void {
    const reason = mask(error.message);
    if (error instanceof PermissionViolationError && error.operation === "publish") {
      requests.refuse(error.subject, reason);
      tell(() => ackRefusals.tell(error.subject, reason));
    }
    tellRefused(toNatsWords(reason));
  }

  function goUp(held: NatsConnection): void {
    if (ended.signal.aborted) return;
    server = held.getServer();
    serverVersion = held.info?.version ?? null;
    if (hasBeenUp && !isUp) reconnects += 1;
    if (!isUp) logger.info("Connected to NATS", { server: `nats://${server}`, serverVersion });
    isUp = hasBeenUp = true;
    lastError = null;
    logged = null;
    acks.repeat();
    liveness.start(held);
    for (const listener of listeners) tell(listener);
  }

  function goDown(reason: string): void {
    liveness.stop();
    isUp = false;
    requests.failAll("connection to NATS lost");
    if (!ended.signal.aborted) tellDown(reason);
  }

  /** Logs a change of state, and a new reason once per minute, but not each try. */
  function tellDown(error: string): void {
    const reason = toNatsWords(error);
    lastError = reason;
    const now = performance.now();
    if (logged !== null && (logged.reason === reason || now - logged.at < SAME_REASON_SILENCE_MS)) return;
    logged = { reason, at: now };
    logger.warn(hasBeenUp ? "Lost NATS" : "Waiting for NATS", {
      server: server ?? settings.servers.join(", "),
      reason,
    });
  }

  /** Logs at most one per minute: a missing permission may refuse every ack. */
  function tellRefused(reason: string): void {
    lastError = reason;
    const now = performance.now();
    if (!isUp || now - refusedAt < SAME_REASON_SILENCE_MS) return;
    refusedAt = now;
    logger.warn("NATS reported an error", { reason });
  }

  function tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      logger.error("A listener to NATS reconnects failed", { error: messageOf(error) });
    }
  }

  function send(subject: string, payload: string, options?: { reply: string }): void {
    try {
      client?.publish(subject, payload, options);
    } catch (error) {
      lastError = mask(messageOf(error));
    }
  }

  function onReconnect(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  function ready(waiting: AbortSignal): Promise<boolean> {
    if (isUp || waiting.aborted || ended.signal.aborted) return Promise.resolve(isUp);
    return new Promise((resolve) => {
      const end = () => {
        forget();
        waiting.removeEventListener("abort", end);
        ended.signal.removeEventListener("abort", end);
        resolve(isUp);
      };
      const forget = onReconnect(end);
      waiting.addEventListener("abort", end);
      ended.signal.addEventListener("abort", end);
    });
  }

  function flush(timeoutMs: number): Promise<boolean> {
    if (!isUp || client === null) return Promise.resolve(false);
    acks.flush();
    return settlesWithin(client.flush(), timeoutMs);
  }

  async function end(): Promise<void> {
    const wasUp = isUp;
    acks.flush();
    ended.abort();
    liveness.stop();
    if (client !== null && wasUp) await settlesWithin(client.drain(), CLOSE_MS);
    isUp = false;
    requests.failAll("the connection to NATS is closed");
    if (client !== null) void settlesWithin(client.close(), CLOSE_MS);
    if (wasUp) logger.info("Closed the connection to NATS", { server: `nats://${server ?? ""}` });
  }

  const close = () => (closing ??= end());
  if (signal.aborted) void close();
  signal.addEventListener("abort", () => void close(), { once: true });
  void run();

  return {
    get isConnected() {
      return isUp && !liveness.isSilent();
    },
    lastPongAt: liveness.lastAt,
    ready,
    status: () => ({ connected: isUp && !liveness.isSilent(), server, serverVersion, reconnects, lastError }),
    onReconnect,
    flush,
    close,
    get unconfirmedAcks() {
      return acks.unconfirmed;
    },
    client: () => client,
    newInbox,
    onAckRefused: ackRefusals.on,
    get maxPayload() {
      return client?.info?.max_payload ?? Number.POSITIVE_INFINITY;
    },
    request: requests.send,
    publishAck: (ackSubject, urgency) => {
      acks.send(ackSubject, urgency);
      if (isUp && acks.unconfirmed > EARLY_PING_ACKS) liveness.pingNow();
    },
    publish: (subject, payload, options) => {
      if (isUp) send(subject, payload, options);
    },
  };
}
