// A wait that can be cut short: by a ring, also one that came just before.

interface Bell {
  ring: () => void;
  /** Resolves at the ring, after `limitMs` (null: no limit), or when the signal aborts. One waits at a time. */
  wait: (limitMs: number | null) => Promise<void>;
}

export function createBell(signal: AbortSignal): Bell {
  let hasRung = false;
  let end: () => void = () => undefined;

  function ring(): void {
    hasRung = true;
    end();
  }

  async function wait(limitMs: number | null): Promise<void> {
    if (!hasRung && !signal.aborted) await untilRung(limitMs);
    hasRung = false;
  }

  function untilRung(limitMs: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = limitMs === null ? null : setTimeout(resolve, limitMs);
    end = () => {
      if (timer !== null) clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end);
    return promise.then(end);
  }

  return { ring, wait };
}
