// The connection to NATS: made once, held for ever, the same object over every reconnect.
//
//   connecting --connected--> up --server lost--> down --connected again--> up
//   up --server silent--> down, and another server comes first
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
import { createAuthMask } from "./auth-mask.ts";
import { type AckSender, createAckSender } from "./ack-sender.ts";
import { ackOwnerOf } from "./ack-subject.ts";
import { createContact } from "./contact.ts";
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
  /** `performance.now()` of the sending of the last ping that was answered; -Infinity: never. */
  lastContactAt: () => number;
  /** Waits until it is connected: true. False when `signal` aborts or it is closed first. */
  ready: (signal: AbortSignal) => Promise<boolean>;
  status: () => ConnectionStatus;
  /** Called after each connect, the first included; it may come twice for one. Returns how to stop that. */
  onReconnect: (listener: () => void) => () => void;
  /** True if the server has seen everything sent so far. */
  flush: (timeoutMs: number) => Promise<boolean>;
  /** Sends what is waiting to be sent, then ends; takes 2 s at most. */
  close: () => Promise<void>;
  /** Acks that no answered ping has confirmed yet. */
  readonly unconfirmedAcks: number;

  /** For this room only. The client as it is now; null while there is none. A later one may be another. */
  client: () => NatsConnection | null;
  /** For this room only. A new subject for answers. */
  newInbox: () => string;
  /** For this room only. Sends an ack, soon or after the next connect, until the server is known to have it. */
  publishAck: AckSender["send"];
  /**
   * For this room only. Told when the server does not let this client answer what that consumer delivered. Returns how to stop
   * that.
   */
  onAckRefused: (
    consumer: { readonly stream: string; readonly durable: string },
    listener: AckRefused,
  ) => () => void;
  /** For this room only. Of a message with its headers, in bytes. */
  readonly maxPayload: number;
  /** For this room only. Never rejects; it fails at once while NATS does not answer. */
  request: Requests["send"];
  /** For this room only. Sends now or never. */
  publish: (subject: string, payload: string, options?: { reply: string }) => void;
}

type AckRefused = (ackSubject: string, reason: string) => void;

/** What the library keeps to itself: what it sends, whole commands of its protocol. */
interface ClientInternals {
  readonly protocol?: { readonly sendCommand?: (commands: string) => void };
}

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 5000;
const CLOSE_MS = 2000;
const EARLY_PING_ACKS = 2000;
/** A connection whose send buffer is full cannot be left in an orderly way: it is closed for good then. */
const LEAVE_MS = 1000;
/** For so long a server that was silent is dialled only where there is no other. */
const AVOID_MS = 30_000;
const SAME_REASON_SILENCE_MS = 60_000;

/** Starts to connect at once; an absent server is no error, it is waited for. `signal` ends it as `close` does. */
export function openConnection(
  settings: NatsSettings,
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Connection {
  const options = { ...toConnectionOptions(settings), reconnectToServer: choose };
  const mask = createAuthMask(settings.auth);
  const acks = createAckSender({ publish: sendAcks, isUp: () => isUp });
  const contact = createContact({ acks, logger, onDead: () => client !== null && leave(client) });
  const newInbox = () => createInbox(settings.inboxPrefix);
  const requests = createRequests({
    client: () => (isUp && !contact.isSilent() ? client : null),
    newInbox,
  });
  const listeners = new Set<() => void>();
  /** By stream and durable. */
  const ackListeners = new Map<string, AckRefused>();
  const ended = new AbortController();
  let client: NatsConnection | null = null;
  let isUp = false;
  let hasBeenUp = false;
  let reconnects = 0;
  /** How often the library told that the connection was lost or made again. */
  let changes = 0;
  let server: string | null = null;
  let serverVersion: string | null = null;
  let lastError: string | null = null;
  let logged: { readonly reason: string; readonly at: number } | null = null;
  let refusedAt = Number.NEGATIVE_INFINITY;
  let closing: Promise<void> | null = null;
  let avoided = { server: "", until: 0 };
  /** Other servers of the cluster, when the library was made to give up. */
  let discovered: readonly string[] = [];

  /** Connects, stays connected by the library's own means, and starts anew when the library has given up. */
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

  /** The server may be well, and only the connection to it dead: where there is no other, it is dialled again. */
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

  /** Null: as the library likes. */
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
      const listener = ackListeners.get(ackOwnerOf(error.subject));
      if (listener !== undefined) tell(() => listener(error.subject, reason));
    }
    tellRefused(reason);
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
    contact.start(held);
    for (const listener of listeners) tell(listener);
  }

  function goDown(reason: string): void {
    contact.stop();
    isUp = false;
    requests.failAll("connection to NATS lost");
    if (!ended.signal.aborted) tellDown(reason);
  }

  /** Logs a change of state, and a changed reason from time to time, but never each try. */
  function tellDown(error: string): void {
    const reason = error === "timeout" ? "no answer in time" : error;
    lastError = reason;
    const now = performance.now();
    if (logged !== null && (logged.reason === reason || now - logged.at < SAME_REASON_SILENCE_MS)) return;
    logged = { reason, at: now };
    logger.warn(hasBeenUp ? "Lost NATS" : "Waiting for NATS", {
      server: server ?? settings.servers.join(", "),
      reason,
    });
  }

  /** Not each: a missing permission may refuse every ack. */
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

  /** In one piece where the library lets them through: by its `publish` each would be encoded and copied by itself. */
  function sendAcks(ackSubjects: readonly string[]): void {
    const { protocol } = (client ?? {}) as ClientInternals;
    if (protocol?.sendCommand === undefined) {
      for (const ackSubject of ackSubjects) send(ackSubject, "+ACK");
    } else if (client?.isClosed() === false) {
      let commands = "";
      for (const ackSubject of ackSubjects) commands += `PUB ${ackSubject} 4\r\n+ACK\r\n`;
      if (commands !== "") protocol.sendCommand(commands);
    }
  }

  function onReconnect(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  function onAckRefused({ stream, durable }: { stream: string; durable: string }, listener: AckRefused) {
    const owner = `${stream} ${durable}`;
    ackListeners.set(owner, listener);
    return () => {
      if (ackListeners.get(owner) === listener) ackListeners.delete(owner);
    };
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
    contact.stop();
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
      return isUp && !contact.isSilent();
    },
    lastContactAt: contact.lastAt,
    ready,
    status: () => ({ connected: isUp && !contact.isSilent(), server, serverVersion, reconnects, lastError }),
    onReconnect,
    flush,
    close,
    get unconfirmedAcks() {
      return acks.unconfirmed;
    },
    client: () => client,
    newInbox,
    onAckRefused,
    get maxPayload() {
      return client?.info?.max_payload ?? Number.POSITIVE_INFINITY;
    },
    request: requests.send,
    publishAck: (ackSubject, urgency) => {
      acks.send(ackSubject, urgency);
      if (isUp && acks.unconfirmed > EARLY_PING_ACKS) contact.pingNow();
    },
    publish: (subject, payload, options) => {
      if (isUp) send(subject, payload, options);
    },
  };
}
