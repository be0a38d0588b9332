// When the next pull is due, if not at once.

interface PullPace {
  /** After `minMs`, doubling from call to call, with jitter. */
  later: (minMs: number) => void;
  /** In a moment, unless one is due sooner: what becomes free until then goes into one pull. */
  gather: () => void;
  /** In a moment in which all others that do so pull too: one write for many that have nothing to do. */
  together: () => void;
  cancel: () => void;
  /** The doubling starts anew. */
  reset: () => void;
  /** Before a pull that may not come sooner: after a failure. */
  readonly isBackingOff: boolean;
}

const MAX_BACKOFF_MS = 2000;
const GATHER_MS = 3;
const TOGETHER_MS = 50;

/** `pull` must not throw; the wait that led to it is over when it is called. */
export function createPullPace(pull: () => void): PullPace {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let backoffMs = 0;
  let isBackingOff = false;

  function wait(delayMs: number): void {
    timer = setTimeout(() => {
      timer = null;
      isBackingOff = false;
      pull();
    }, delayMs);
  }

  function cancel(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    isBackingOff = false;
  }

  return {
    later: (minMs) => {
      backoffMs = Math.min(Math.max(minMs, backoffMs * 2), MAX_BACKOFF_MS);
      cancel();
      isBackingOff = true;
      wait(backoffMs * (0.75 + Math.random() / 2));
    },
    gather: () => {
      if (timer === null) wait(GATHER_MS);
    },
    together: () => {
      if (timer === null) wait(Math.ceil(TOGETHER_MS - (performance.now() % TOGETHER_MS)));
    },
    cancel,
    reset: () => {
      backoffMs = 0;
    },
    get isBackingOff() {
      return isBackingOff;
    },
  };
}
