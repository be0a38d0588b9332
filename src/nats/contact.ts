// Contact with the server: a ping each second, whose answer confirms every ack sent before it.

import type { NatsConnection } from "@nats-io/transport-node";

import type { Logger } from "#lib/logger.ts";
import { startTicks } from "#lib/ticks.ts";

import type { AckSender } from "./ack-sender.ts";

export interface Contact {
  start: (client: NatsConnection) => void;
  stop: () => void;
  /** Sends a ping unless one is outstanding. */
  pingNow: () => void;
  /** `performance.now()` of the sending of the last ping that was answered; -Infinity: never. */
  lastAt: () => number;
  /** True while a ping has waited too long for its answer. */
  isSilent: () => boolean;
}

const INTERVAL_MS = 1000;
const SILENCE_MS = 4000;

interface Ping {
  readonly sentAt: number;
  isLate: boolean;
}

export function createContact({ acks, logger }: { acks: AckSender; logger: Logger }): Contact {
  let client: NatsConnection | null = null;
  let outstanding: Ping | null = null;
  let endTicks: () => void = () => undefined;
  let lastAt = Number.NEGATIVE_INFINITY;

  function start(connected: NatsConnection): void {
    stop();
    client = connected;
    endTicks = startTicks(INTERVAL_MS, tick);
    pingNow();
  }

  function stop(): void {
    endTicks();
    client = null;
    outstanding = null;
  }

  function tick(): void {
    if (outstanding !== null && isSilent() && !outstanding.isLate) {
      outstanding.isLate = true;
      logger.warn("NATS does not answer", { sinceMs: Math.round(performance.now() - outstanding.sentAt) });
    }
    pingNow();
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
    acks.confirm(mark);
    if (ping.isLate) logger.info("NATS answers again");
  }

  function isSilent(): boolean {
    return outstanding !== null && performance.now() - outstanding.sentAt > SILENCE_MS;
  }

  return { start, stop, pingNow, lastAt: () => lastAt, isSilent };
}
