// Timers and alarms that fire together: equal intervals share a timer, and multiples of it wake the process with it.

interface Beat {
  readonly acts: Set<() => void>;
  timer: Timer;
}

const beats = new Map<number, Beat>();

/** Calls `act` each `intervalMs`, the first time sooner. `act` must not throw. Returns a function that stops it. */
export function startTicks(intervalMs: number, act: () => void): () => void {
  const beat = beats.get(intervalMs) ?? startBeat(intervalMs);
  // A new function: the same `act` may be started twice.
  const own = () => act();
  beat.acts.add(own);
  return () => {
    beat.acts.delete(own);
    if (beat.acts.size > 0 || beats.get(intervalMs) !== beat) return;
    clearTimeout(beat.timer);
    beats.delete(intervalMs);
  };
}

/** Calls `act` once, on the next tick. Returns a function that cancels it. */
export function onNextTick(intervalMs: number, act: () => void): () => void {
  const callOff = startTicks(intervalMs, () => {
    callOff();
    act();
  });
  return callOff;
}

/** As `onNextTick`, but resolves: with false at once when `signal` aborts. Never rejects. */
export function sleepUntilTick(intervalMs: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = () => {
      callOff();
      resolve(false);
    };
    const callOff = onNextTick(intervalMs, () => {
      signal.removeEventListener("abort", onAbort);
      resolve(true);
    });
    signal.addEventListener("abort", onAbort, { once: true });
  });
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

/** Adds a millisecond, because a timer may fire a little early. */
function untilNextMs(intervalMs: number): number {
  return Math.ceil(intervalMs - (performance.now() % intervalMs)) + 1;
}

interface Alarm {
  /** Calls `act` on the next tick. */
  readonly soon: () => void;
  readonly end: () => void;
}

interface AlarmEntry {
  readonly act: () => number;
  /** The tick of its next call. */
  tick: number;
}

interface Wheel {
  readonly entriesByTick: Map<number, Set<AlarmEntry>>;
  size: number;
  /** The tick that was processed last. */
  tick: number;
  endTicks: () => void;
}

const wheels = new Map<number, Wheel>();

/**
 * Calls `act` on the next tick of `intervalMs`. `act` returns the time of its next call, on the clock of `performance.now`;
 * it is called on the first tick after that. An alarm that is not due costs nothing. `act` must not throw.
 */
export function startAlarm(intervalMs: number, act: () => number): Alarm {
  const wheel = wheels.get(intervalMs) ?? startWheel(intervalMs);
  const entry: AlarmEntry = { act, tick: Number.POSITIVE_INFINITY };
  let hasEnded = false;
  wheel.size += 1;
  setBy(wheel, entry, wheel.tick + 1);
  return {
    soon: () => {
      if (!hasEnded) setBy(wheel, entry, wheel.tick + 1);
    },
    end() {
      if (hasEnded) return;
      hasEnded = true;
      wheel.entriesByTick.get(entry.tick)?.delete(entry);
      // Keeps `turn` from setting an alarm again that ended during its own call.
      entry.tick = Number.NEGATIVE_INFINITY;
      wheel.size -= 1;
      if (wheel.size > 0) return;
      wheel.endTicks();
      wheels.delete(intervalMs);
    },
  };
}

function startWheel(intervalMs: number): Wheel {
  const wheel: Wheel = {
    entriesByTick: new Map(),
    size: 0,
    tick: tickNow(intervalMs),
    endTicks: () => undefined,
  };
  wheel.endTicks = startTicks(intervalMs, () => turn(wheel, intervalMs));
  wheels.set(intervalMs, wheel);
  return wheel;
}

function turn(wheel: Wheel, intervalMs: number): void {
  // A process that was suspended has missed ticks: catch up.
  for (const now = tickNow(intervalMs); wheel.tick < now;) {
    wheel.tick += 1;
    const due = wheel.entriesByTick.get(wheel.tick);
    wheel.entriesByTick.delete(wheel.tick);
    for (const entry of due ?? []) {
      if (entry.tick !== wheel.tick) continue;
      entry.tick = Number.POSITIVE_INFINITY;
      const next = Math.ceil(entry.act() / intervalMs);
      setBy(wheel, entry, Math.max(next, wheel.tick + 1));
    }
  }
}

function setBy(wheel: Wheel, entry: AlarmEntry, tick: number): void {
  if (tick >= entry.tick) return;
  wheel.entriesByTick.get(entry.tick)?.delete(entry);
  entry.tick = tick;
  const others = wheel.entriesByTick.get(tick);
  if (others === undefined) wheel.entriesByTick.set(tick, new Set([entry]));
  else others.add(entry);
}

function tickNow(intervalMs: number): number {
  return Math.floor(performance.now() / intervalMs);
}
