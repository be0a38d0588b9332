// Asks the server how much of a consumer is out, until the window of an ordered subscription holds all of it.

import { sleep } from "#lib/sleep.ts";
import type { ConsumerCount, Window } from "./window.ts";
import type { Held } from "./settle.ts";

interface GatheringOptions<T extends Held> {
  readonly window: Window<T>;
  /** Null: it could not be read. Never rejects. */
  readonly countConsumer: () => Promise<ConsumerCount | null>;
  /** The window has room, or is current. */
  readonly onCounted: () => void;
  readonly signal: AbortSignal;
}

interface Gathering {
  /** Call it when the window may not be current any more. */
  wake: () => void;
  /** All that was asked before counts for nothing: the connection or the consumer is another one. */
  restart: () => void;
  /** Why nothing is sent, for people; null: the window is current, or soon will be. */
  readonly obstacle: string | null;
}

const FIRST_MS = 50;
const LONGEST_MS = 500;
/** What takes no longer is not worth a word. */
const SOON_MS = 2000;

export function createGathering<T extends Held>({
  window,
  countConsumer,
  onCounted,
  signal,
}: GatheringOptions<T>): Gathering {
  let isRunning = false;
  let epoch = 0;
  let since = 0;
  let out: number | null = null;

  /** Never rejects. One question at a time: an answer counts for what was asked after. */
  async function run(): Promise<void> {
    isRunning = true;
    since = performance.now();
    let delayMs = FIRST_MS;
    let before = "";
    while (!signal.aborted && window.state !== "current") {
      const asked = epoch;
      const consumer = await countConsumer();
      if (signal.aborted) break;
      if (consumer !== null && asked === epoch) take(consumer);
      if (isCurrent()) break;
      const progress = JSON.stringify([consumer, window.size, asked]);
      delayMs = progress === before ? Math.min(LONGEST_MS, delayMs * 2) : FIRST_MS;
      before = progress;
      await sleep(delayMs, signal);
    }
    isRunning = false;
    out = null;
  }

  function take(consumer: ConsumerCount): void {
    out = Math.max(0, consumer.ackPending - window.size);
    for (const { value } of window.count(consumer)) value.received.nak();
    onCounted();
  }

  /** A function, since its answer changes while `run` waits. */
  function isCurrent(): boolean {
    return window.state === "current";
  }

  function wake(): void {
    if (!isRunning && !signal.aborted && !isCurrent()) void run(); // Never rejects.
  }

  return {
    wake,
    restart() {
      epoch += 1;
      window.regather();
      wake();
    },
    get obstacle() {
      if (!isRunning || performance.now() - since < SOON_MS) return null;
      if (out === null) return "JetStream does not say which messages are out";
      if (out === 0) return "Makes sure that no other relay has its messages";
      return `${out} message${out === 1 ? " is" : "s are"} still held by another relay, or by this one before it was restarted`;
    },
  };
}
