// Repetitions that come together: all of one interval share a timer, and those of its multiples wake the process with it.

interface Beat {
  readonly acts: Set<() => void>;
  timer: Timer;
}

const beats = new Map<number, Beat>();

/** Calls `act` each `intervalMs`, for the first time sooner than that. `act` must not throw. Returns what ends it. */
export function startTicks(intervalMs: number, act: () => void): () => void {
  const beat = beats.get(intervalMs) ?? startBeat(intervalMs);
  // Its own function: the same `act` may be started twice.
  const own = () => act();
  beat.acts.add(own);
  return () => {
    beat.acts.delete(own);
    if (beat.acts.size > 0 || beats.get(intervalMs) !== beat) return;
    clearTimeout(beat.timer);
    beats.delete(intervalMs);
  };
}

function startBeat(intervalMs: number): Beat {
  const beat: Beat = { acts: new Set(), timer: setTimeout(tick, untilNextMs(intervalMs)) };
  function tick(): void {
    beat.timer = setTimeout(tick, untilNextMs(intervalMs));
    for (const act of beat.acts) act();
  }
  beats.set(intervalMs, beat);
  return beat;
}

/** A timer may be early by a part of a millisecond. */
function untilNextMs(intervalMs: number): number {
  return Math.ceil(intervalMs - (performance.now() % intervalMs)) + 1;
}
