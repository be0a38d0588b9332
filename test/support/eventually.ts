// Polling instead of sleeping: a test waits for what it wants to see, and says what it saw last when it gives up.

const INTERVAL_MS = 10;
/** A look that takes longer counts as this long: that is what a busy machine does. */
const LOOK_MS = 100;

/**
 * Repeats `probe` until it neither throws nor returns false or undefined, and returns what it returned. Gives up after as many
 * looks as fit into `withinMs` on a machine that has time.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { withinMs = 20_000, what = probe.toString() }: { withinMs?: number; what?: string } = {},
): Promise<Exclude<T, false | undefined>> {
  let spentMs = 0;
  for (;;) {
    let seen: unknown;
    const lookedAt = performance.now();
    try {
      const value = await probe();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined>;
      seen = value;
    } catch (error) {
      seen = error;
    }
    spentMs += Math.min(performance.now() - lookedAt, LOOK_MS) + INTERVAL_MS;
    if (spentMs > withinMs) {
      throw new Error(`Not within ${withinMs} ms: ${what}; seen last: ${Bun.inspect(seen)}`);
    }
    await Bun.sleep(INTERVAL_MS);
  }
}
