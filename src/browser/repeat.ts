// Repeats an action while the page is visible.

interface Repeated {
  /** At once, besides; what began before does not count. */
  readonly now: () => Promise<void>;
  readonly stop: () => void;
}

/** The next time begins when the last one has ended; a hidden page rests, and catches up when it is seen again. */
export function poll(act: () => Promise<void>, everyMs: () => number): Repeated {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | null = null;
  let isStopped = false;

  async function run(): Promise<void> {
    clearTimeout(timer);
    running ??= act().finally(() => {
      running = null;
    });
    await running;
    clearTimeout(timer);
    if (!isStopped && !document.hidden) timer = setTimeout(() => void run(), everyMs()); // Never rejects.
  }

  function onVisibility(): void {
    if (!document.hidden && !isStopped) void run(); // Never rejects.
  }

  document.addEventListener("visibilitychange", onVisibility);
  void run(); // Never rejects.
  return {
    async now() {
      await running;
      await run();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisibility);
    },
  };
}
