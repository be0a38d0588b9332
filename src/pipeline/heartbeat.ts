// Renews the ack wait of held messages, and reports when another relay may have taken them over.

import { startTicks } from "#lib/ticks.ts";

interface HeartbeatOptions {
  readonly ackWaitMs: number;
  /** Tells the server that the messages are in progress. */
  readonly renew: () => void;
  /** When NATS last received something from this relay, on the clock of `performance.now`. */
  readonly lastPongAt: () => number;
  /** Whether there is anything that another relay could take over. */
  readonly isHolding: () => boolean;
  /** Another relay may hold the messages. Called once. */
  readonly onExpired: () => void;
}

export interface Heartbeat {
  /** False once another relay may have taken over: start no attempt. */
  isCurrent: () => boolean;
  /** A message is held. Stops by itself when none is. */
  begin: () => void;
  stop: () => void;
}

const CHECK_INTERVAL_MS = 500;
/** If the liveness time jumps by more than this, the connection was lost in between (it advances each second). */
const CONTACT_GAP_MS = 1500;

/**
 * Renews every third of the ack wait, and at once when a lost connection is back: renewals sent meanwhile did not arrive.
 * The last renewal that arrived may be one interval older than the last sign of liveness, so the lease ends after two thirds
 * of the ack wait without one.
 */
export function createHeartbeat(options: HeartbeatOptions): Heartbeat {
  const { ackWaitMs, renew, lastPongAt, isHolding, onExpired } = options;
  const intervalMs = ackWaitMs / 3;
  let pongAt = performance.now();
  let isExpired = false;
  /** Null: idle. */
  let rest: (() => void) | null = null;

  /** A host that was frozen for too long hears the server again before its next check: that gap counts as well. */
  function isCurrent(): boolean {
    if (isExpired) return false;
    const heardAt = Math.max(lastPongAt(), pongAt);
    const gapMs = rest !== null && heardAt > pongAt ? heardAt - pongAt : 0;
    if (Math.max(performance.now() - heardAt, gapMs) < ackWaitMs - intervalMs) return true;
    isExpired = rest !== null;
    return false;
  }

  function check(): void {
    if (!isExpired && !isHolding()) return stop();
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
