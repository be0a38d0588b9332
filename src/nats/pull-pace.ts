// When the next pull is due, if not at once.

export interface PullPace {
  /** After `minMs`, doubling from call to call, with jitter. */
  later: (minMs: number) => void;
  /** In a moment: what becomes free until then goes into one pull. */
  gather: () => void;
  cancel: () => void;
  /** The doubling starts anew. */
  reset: () => void;
  readonly isWaiting: boolean;
}

const MAX_BACKOFF_MS = 2000;
const GATHER_MS = 3;

/** `pull` must not throw; the wait that led to it is over when it is called. */
export function createPullPace(pull: () => void): PullPace {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let backoffMs = 0;

  function wait(delayMs: number): void {
    cancel();
    timer = setTimeout(() => {
      timer = null;
      pull();
    }, delayMs);
  }

  function cancel(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
  }

  return {
    later: (minMs) => {
      backoffMs = Math.min(Math.max(minMs, backoffMs * 2), MAX_BACKOFF_MS);
      wait(backoffMs * (0.75 + Math.random() / 2));
    },
    gather: () => wait(GATHER_MS),
    cancel,
    reset: () => {
      backoffMs = 0;
    },
    get isWaiting() {
      return timer !== null;
    },
  };
}
