// Repetitions that come together: all of one interval, or of its multiples, wake the process once.

/** Calls `act` each `intervalMs`, for the first time sooner than that. Returns what ends it. */
export function startTicks(intervalMs: number, act: () => void): () => void {
  let timer = setTimeout(tick, untilNextMs());

  /** A timer may be early by a part of a millisecond. */
  function untilNextMs(): number {
    return Math.ceil(intervalMs - (performance.now() % intervalMs)) + 1;
  }

  function tick(): void {
    timer = setTimeout(tick, untilNextMs());
    act();
  }

  return () => clearTimeout(timer);
}
