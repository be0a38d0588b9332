// Whether a consumer can be used: told by signs of life, and by their absence where one is due.
//
//   usable --a sign is due--> doubtful --none in time--> unusable, told once for each reason
//   any --sign of life--> usable

interface Liveness {
  /** A sign of life is due within `withinMs`; `reason` says what was wrong if none comes. A later reason counts. */
  expect: (withinMs: number, reason: string) => void;
  heard: () => void;
  stop: () => void;
  readonly isUsable: boolean;
}

interface LivenessOptions {
  /** Why it cannot be used; null: it can. Must not throw. */
  readonly tell: (reason: string | null) => void;
  /** False: nothing can be heard, for a reason that others tell. */
  readonly canHear: () => boolean;
}

const DEAF_MS = 1000;

export function createLiveness({ tell, canHear }: LivenessOptions): Liveness {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let dueAt = Number.POSITIVE_INFINITY;
  let reason: string | null = null;
  let told: string | null = null;
  let isUsable = false;

  function stop(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    dueAt = Number.POSITIVE_INFINITY;
  }

  function wait(delayMs: number): void {
    stop();
    dueAt = performance.now() + delayMs;
    timer = setTimeout(tellNow, delayMs);
  }

  function tellNow(): void {
    stop();
    if (!canHear()) return wait(DEAF_MS);
    if (reason === told) return;
    told = reason;
    tell(reason);
  }

  return {
    expect(withinMs, nextReason) {
      isUsable = false;
      reason = nextReason;
      if (told !== null) return tellNow();
      if (performance.now() + withinMs < dueAt) wait(withinMs);
    },
    heard() {
      if (isUsable) return;
      isUsable = true;
      reason = null;
      stop();
      told = null;
      tell(null);
    },
    stop,
    get isUsable() {
      return isUsable;
    },
  };
}
