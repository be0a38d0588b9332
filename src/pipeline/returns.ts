// Returns messages to the stream when a pipeline closes: all together after the last pull, the cause first.

import type { Held } from "./settle.ts";

export interface Returns {
  add: (held: Held) => void;
  /** Pulling has ended: returns all added messages, and from now on each at once. */
  flush: () => void;
  /** How many were returned. */
  readonly count: number;
}

/** `cause`: the message that closed the pipeline, if any; `canReturn`: false once another relay may hold the messages. */
export function createReturns(options: { cause: () => Held | null; canReturn: () => boolean }): Returns {
  let waiting: Held[] | null = [];
  let count = 0;

  function giveBack({ received, isRedeliverable }: Held): void {
    if (!isRedeliverable || !options.canReturn()) return;
    received.nak();
    count += 1;
  }

  return {
    add(held) {
      if (waiting === null) giveBack(held);
      else waiting.push(held);
    },
    flush() {
      const cause = options.cause();
      const rank = (held: Held) => (held === cause ? -1 : held.received.message.sequence);
      const entries = waiting ?? [];
      waiting = null;
      for (const held of entries.sort((a, b) => rank(a) - rank(b))) giveBack(held);
    },
    get count() {
      return count;
    },
  };
}
