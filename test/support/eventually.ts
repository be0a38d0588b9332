// Polling instead of sleeping: a test waits for what it wants to see, and says what it saw last when it gives up.

const INTERVAL_MS = 10;

/** Repeats `probe` until it neither throws nor returns false or undefined, and returns what it returned. */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { withinMs = 20_000, what = probe.toString() }: { withinMs?: number; what?: string } = {},
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let seen: unknown;
    try {
      const value = await probe();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
      seen = value;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`Not within ${withinMs} ms: ${what}; seen last: ${Bun.inspect(seen)}`);
    }
    await Bun.sleep(INTERVAL_MS);
  }
}
