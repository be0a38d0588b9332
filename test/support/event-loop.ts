// How long the event loop of this process is kept from its timers while something runs.

export interface LoopBlock {
  readonly longestMs: number;
  readonly elapsedMs: number;
}

export async function longestBlock(run: () => Promise<unknown>): Promise<LoopBlock> {
  const startedAt = performance.now();
  let last = startedAt;
  let longestMs = 0;
  const look = () => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
  };
  const timer = setInterval(look, 1);
  try {
    await run();
    look();
    return { longestMs, elapsedMs: last - startedAt };
  } finally {
    clearInterval(timer);
  }
}
