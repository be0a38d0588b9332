// Keeps messages without a body from the callbacks if somebody set `headers_only` on the consumer. Such a message has an empty
// body and a `Nats-Msg-Size` header, which a publisher may have written too.
//
//   may be cut --> held, consumer config read --headers_only--> given back when the consumer is repaired
//                                             --whole--> given back at once, and delivered when it comes again

import type { Message } from "#delivery/message.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Received } from "#consumer/received.ts";

export interface WholeMessages {
  /** Returns the message handler of one pump. */
  watch: (handlers: WatchHandlers) => (received: Received) => void;
  /** Call it once the consumer is repaired. Before that, a foreign `max_deliver` could count the redelivery. */
  giveBack: () => void;
}

interface WatchHandlers {
  readonly onMessage: (received: Received) => void;
  /** A message was given back and is no longer held. */
  readonly release: () => void;
  readonly onLost: (reason: string) => void;
}

interface WholeMessagesOptions {
  /** False: the server redelivers nothing. */
  readonly acks: boolean;
  /** null: there is no such consumer. */
  readonly readConsumer: () => Promise<Pick<ConsumerReading, "config"> | null>;
  readonly logger: Logger;
}

const MAX_WHOLE = 10_000;

/** Waiting messages are bounded by the pump's capacity. */
export function createWholeMessages({ acks, readConsumer, logger }: WholeMessagesOptions): WholeMessages {
  let cut: (() => void)[] = [];
  /** Sequences of messages that have no body: they were given back, and may come again and again. */
  const whole = new Set<number>();

  /** null: not known. */
  async function isHeadersOnly(): Promise<boolean | null> {
    try {
      const consumer = await readConsumer();
      return consumer === null ? null : consumer.config.headers_only === true;
    } catch (error) {
      logger.debug("Cannot read whether the consumer has headers_only set", { error: messageOf(error) });
      return null;
    }
  }

  function watch({ onMessage, release, onLost }: WatchHandlers): (received: Received) => void {
    let waiting: Received[] = [];

    function giveBack(received: Received): void {
      received.nak();
      release();
    }

    /** Never rejects. */
    async function ask(): Promise<void> {
      const isCut = await isHeadersOnly();
      const asked = waiting;
      waiting = [];
      if (isCut === true) {
        cut.push(() => asked.forEach(giveBack));
        return onLost("somebody changed its headers only");
      }
      if (isCut === false && !acks) return asked.forEach(onMessage);
      if (whole.size > MAX_WHOLE) whole.clear();
      if (isCut === false) for (const { message } of asked) whole.add(message.sequence);
      asked.forEach(giveBack);
    }

    return (received) => {
      const { message } = received;
      if (!mayBeCut(message) || whole.has(message.sequence)) return onMessage(received);
      waiting.push(received);
      if (waiting.length === 1) void ask();
    };
  }

  return {
    watch,
    giveBack() {
      whole.clear();
      for (const giveAll of cut) giveAll();
      cut = [];
    },
  };
}

function mayBeCut({ body, headers }: Message): boolean {
  return body.byteLength === 0 && headers.some(([name, value]) => name === "Nats-Msg-Size" && value !== "0");
}
