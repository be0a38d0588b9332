// Keeps what is held from being given to another relay, and tells when that may have happened all the same.

import { startTicks } from "#lib/ticks.ts";

interface HeartbeatOptions {
  readonly ackWaitMs: number;
  /** Tells the server that the messages are still being worked on. */
  readonly renew: () => void;
  /** When NATS was last known to have heard from here, on the clock of `performance.now`. */
  readonly lastPongAt: () => number;
  /** Whether there is anything that another relay could take over. */
  readonly isHolding: () => boolean;
  /** Another relay may hold the messages by now. Called once. */
  readonly onExpired: () => void;
}

export interface Heartbeat {
  /** False once another relay may have taken over: no attempt may start. */
  isCurrent: () => boolean;
  /** Something is held from now on. It rests by itself once nothing is. */
  begin: () => void;
  stop: () => void;
}

const CHECK_INTERVAL_MS = 500;
/** A contact that moves on by more than this was lost in between (there is one each second). */
const CONTACT_GAP_MS = 1500;

/**
 * Renews every third of the ack wait, and at once when a lost contact is back: what was sent meanwhile was not heard. The
 * last renewal that NATS heard may be one interval older than the last contact, so the lease ends after two thirds of the
 * ack wait without contact.
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { ackWaitMs, renew, lastPongAt, isHolding, onExpired } = options;
  const intervalMs = ackWaitMs / 3;
  let pongAt = performance.now();
  let isExpired = false;
  /** Null: it rests. */
  let rest: (() => void) | null = null;

  function isCurrent(): boolean {
    return !isExpired && performance.now() - Math.max(lastPongAt(), pongAt) < ackWaitMs - intervalMs;
  }

  function check(): void {
    if (!isHolding()) return stop();
    if (!isCurrent()) {
      isExpired = true;
      stop();
      onExpired();
      return;
    }
    const before = pongAt;
    pongAt = Math.max(lastPongAt(), before);
    if (pongAt - before > CONTACT_GAP_MS) renew();
  }

  function begin(): void {
    if (rest !== null || isExpired) return;
    pongAt = Math.max(lastPongAt(), pongAt);
    const renewals = setInterval(renew, intervalMs);
    const endChecks = startTicks(CHECK_INTERVAL_MS, check);
    rest = () => {
      clearInterval(renewals);
      endChecks();
    };
  }

  function stop(): void {
    rest?.();
    rest = null;
  }

  return { isCurrent, begin, stop };
}
