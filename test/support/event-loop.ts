// How often the event loop of this process gets to its timers while something runs: a count, for a loaded machine stalls.

export async function countTurns(run: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  try {
    await run();
    return turns;
  } finally {
    clearInterval(timer);
  }
}
