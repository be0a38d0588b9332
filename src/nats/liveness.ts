// Liveness of the connection: pings the server each second, confirms acks by the pong, and reports a dead connection.

import type { NatsConnection } from "@nats-io/transport-node";

import type { Logger } from "#lib/logger.ts";
import { startTicks } from "#lib/ticks.ts";

import type { AckSender } from "./ack-sender.ts";

interface ConnectionLiveness {
  start: (client: NatsConnection) => void;
  stop: () => void;
  /** Sends a ping unless one is outstanding. */
  pingNow: () => void;
  /** `performance.now()` when the last answered ping was sent; -Infinity: none was. */
  lastAt: () => number;
  /** True while a ping is overdue and no other byte has come either. */
  isSilent: () => boolean;
}

interface ConnectionLivenessOptions {
  readonly acks: AckSender;
  readonly logger: Logger;
  /** The connection is dead. Called once per connection. */
  readonly onDead: () => void;
}

const INTERVAL_MS = 1000;
const SILENCE_MS = 4000;
/** In ticks, not in time, so that a relay that was suspended does not blame the server. */
const FIRST_PATIENCE = 5;
/** A slow server gets more time with each connection that it loses. */
const MAX_PATIENCE = 40;
/** A connection that lasted this long resets the patience. */
const CALM_MS = 60_000;

interface Ping {
  readonly sentAt: number;
  isLate: boolean;
}

export function createConnectionLiveness({
  acks,
  logger,
  onDead,
}: ConnectionLivenessOptions): ConnectionLiveness {
  let client: NatsConnection | null = null;
  let startedAt = 0;
  let patience = FIRST_PATIENCE;
  /** Ticks in a row with an open ping and no byte from the server. */
  let silentTicks = 0;
  let bytes = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  let outstanding: Ping | null = null;
  let endTicks: () => void = () => undefined;
  let lastAt = Number.NEGATIVE_INFINITY;

  function start(connected: NatsConnection): void {
    stop();
    client = connected;
    startedAt = heardAt = performance.now();
    silentTicks = 0;
    bytes = receivedBytes(connected);
    endTicks = startTicks(INTERVAL_MS, tick);
    pingNow();
  }

  function stop(): void {
    endTicks();
    client = null;
    outstanding = null;
  }

  function tick(): void {
    listen();
    if (outstanding !== null && isSilent() && !outstanding.isLate) {
      outstanding.isLate = true;
      logger.warn("NATS does not answer", { sinceMs: Math.round(performance.now() - outstanding.sentAt) });
    }
    if (silentTicks >= patience && isSilent()) return die();
    pingNow();
  }

  /** Counts any byte as life: on a slow line, a pong may queue behind much else. */
  function listen(): void {
    const now = client === null ? bytes : receivedBytes(client);
    silentTicks = outstanding === null || now !== bytes ? 0 : silentTicks + 1;
    if (now !== bytes) heardAt = performance.now();
    bytes = now;
  }

  function die(): void {
    patience = Math.min(MAX_PATIENCE, patience * (1.5 + Math.random()));
    stop();
    onDead();
  }

  function pingNow(): void {
    if (client === null || outstanding !== null || client.isClosed()) return;
    acks.flush();
    const ping: Ping = { sentAt: performance.now(), isLate: false };
    const mark = acks.mark();
    outstanding = ping;
    client.flush().then(
      () => answered(ping, mark),
      () => {
        if (outstanding === ping) outstanding = null;
      },
    );
  }

  function answered(ping: Ping, mark: number): void {
    if (outstanding !== ping) return;
    outstanding = null;
    lastAt = ping.sentAt;
    if (lastAt - startedAt > CALM_MS) patience = FIRST_PATIENCE;
    acks.confirm(mark);
    if (ping.isLate) logger.info("NATS answers again");
  }

  function isSilent(): boolean {
    return outstanding !== null && performance.now() - Math.max(outstanding.sentAt, heardAt) > SILENCE_MS;
  }

  return { start, stop, pingNow, lastAt: () => lastAt, isSilent };
}

/** Internals of the library: its socket also counts the bytes of an incomplete message. */
interface ClientInternals {
  readonly protocol?: { readonly transport?: { readonly socket?: { readonly bytesRead?: number } } };
}

function receivedBytes(client: NatsConnection): number {
  const { protocol } = client as ClientInternals;
  return protocol?.transport?.socket?.bytesRead ?? client.stats().inBytes;
}
