// Tells systemd about the relay: ready, reloading, stopping, a status line, and the watchdog.
//
//   start ---NATS connected, or waited for---> READY ---SIGTERM---> STOPPING
//                                              |   ^
//                                    a reload  v   |  taken or refused
//                                            RELOADING

import { startTicks } from "#lib/ticks.ts";
import type { Notify } from "#systemd/notify.ts";

interface ServiceLifeOptions {
  readonly notify: Notify;
  /** Null: nobody watches. */
  readonly watchdogMs: number | null;
  /** False: it hangs, and is to be restarted. */
  readonly isMoving: () => boolean;
}

interface ServiceLife {
  /** `describe` is asked each second from now on, less often where it takes its time. */
  readonly ready: (describe: () => string) => void;
  /** Tells that a reload is under way, of `limitMs` at most. */
  readonly reload: <T>(limitMs: number, run: () => Promise<T>) => Promise<T>;
  /** Tells that it stops within `limitMs`. */
  readonly stopping: (limitMs: number) => void;
  readonly close: () => void;
}

const STATUS_INTERVAL_MS = 1000;
/** So many times as long as a description took passes before the next one. */
const STATUS_REST = 500;
/** What comes before and after the time that something is given. */
const MARGIN_MS = 15_000;

export function startServiceLife({ notify, watchdogMs, isMoving }: ServiceLifeOptions): ServiceLife {
  let reloads = 0;
  let isReady = false;
  let isStopping = false;
  let told = "";
  let nextAt = 0;
  let describe: () => string = () => "Starting";
  const feed = () => void (isMoving() && notify.send({ WATCHDOG: 1 }));
  const feeding = watchdogMs === null ? null : setInterval(feed, watchdogMs);
  const endTelling = startTicks(STATUS_INTERVAL_MS, tell);
  tell();

  function tell(): void {
    const now = performance.now();
    if (!notify.isHeard || now < nextAt) return;
    const status = describe();
    nextAt = now + (performance.now() - now) * STATUS_REST;
    if (isStopping || status === told) return;
    if (notify.send({ STATUS: status })) told = status;
  }

  function tellReady(): void {
    if (!isReady || isStopping) return;
    told = describe();
    notify.send({ READY: 1, STATUS: told });
  }

  return {
    ready(line) {
      describe = line;
      isReady = true;
      if (reloads === 0) tellReady();
    },
    async reload(limitMs, run) {
      reloads += 1;
      if (reloads === 1 && isReady && !isStopping) {
        const fields = { RELOADING: 1, MONOTONIC_USEC: notify.monotonicMicros() };
        notify.send({ ...fields, EXTEND_TIMEOUT_USEC: (limitMs + MARGIN_MS) * 1000 });
      }
      try {
        return await run();
      } finally {
        reloads -= 1;
        if (reloads === 0) tellReady();
      }
    },
    stopping(limitMs) {
      isStopping = true;
      const fields = { STOPPING: 1, STATUS: "Draining" };
      notify.send({ ...fields, EXTEND_TIMEOUT_USEC: (limitMs + MARGIN_MS) * 1000 });
    },
    close() {
      endTelling();
      if (feeding !== null) clearInterval(feeding);
      notify.close();
    },
  };
}
