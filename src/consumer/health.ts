// Health of a consumer: usable while signs of life come, unusable if an expected one is overdue.
//
//   usable --sign expected--> uncertain --none in time--> unusable, reported once per reason
//   any --sign of life--> usable

interface ConsumerHealth {
  /** Expects a sign of life within `withinMs`; `reason` is reported if none comes. A later reason replaces it. */
  expect: (withinMs: number, reason: string) => void;
  heard: () => void;
  stop: () => void;
  readonly isUsable: boolean;
}

interface ConsumerHealthOptions {
  /** Gets why the consumer is unusable; null: usable. Must not throw. */
  readonly tell: (reason: string | null) => void;
  /** False: the whole connection is silent, which is reported elsewhere. */
  readonly canHear: () => boolean;
}

const DEAF_MS = 1000;

export function createConsumerHealth({ tell, canHear }: ConsumerHealthOptions): ConsumerHealth {
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
