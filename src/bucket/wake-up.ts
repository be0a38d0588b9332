// A wait that a call can cut short, also a call that came just before it.

interface WakeUp {
  call: () => void;
  /** Resolves on a call, after `limitMs` (null: no limit), or when the signal aborts. One waiter at a time. */
  wait: (limitMs: number | null) => Promise<void>;
}

export function createWakeUp(signal: AbortSignal): WakeUp {
  let wasCalled = false;
  let end: () => void = () => undefined;

  function call(): void {
    wasCalled = true;
    end();
  }

  async function wait(limitMs: number | null): Promise<void> {
    if (!wasCalled && !signal.aborted) await untilCalled(limitMs);
    wasCalled = false;
  }

  function untilCalled(limitMs: number | null): Promise<void> {
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

  return { call, wait };
}
