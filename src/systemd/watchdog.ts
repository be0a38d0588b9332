// How often systemd wants to hear that the relay gets on.

const FEEDS_PER_PERIOD = 3;

/** Null: nobody watches, or another process is meant. */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  { pid }: { readonly pid: number },
): number | null {
  const periodMs = Number(env["WATCHDOG_USEC"]) / 1000;
  const isMeant = env["WATCHDOG_PID"] === undefined || Number(env["WATCHDOG_PID"]) === pid;
  return isMeant && periodMs >= FEEDS_PER_PERIOD ? Math.floor(periodMs / FEEDS_PER_PERIOD) : null;
}
