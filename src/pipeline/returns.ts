// What goes back to the stream when a pipeline closes: together, once nothing is pulled any more, the cause first.

import type { Held } from "./settle.ts";

export interface Returns {
  add: (held: Held) => void;
  /** Nothing is pulled any more: gives back what was added, and from now on each at once. */
  flush: () => void;
  /** How many were given back. */
  readonly count: number;
}

/** `cause` is the message that closed the pipeline, if one did; `canReturn` is false once others may hold the messages. */
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
