// Lets only whole messages through. Somebody may set `headers_only` on a consumer while it is pulled from: what comes then has
// no body, and a header with its size, which a publisher may have written too.
//
//   may be cut --> held, the consumer is asked --cut--> given back when the consumer has been put right
//                                              --whole--> given back at once: as it comes again, so it is

import type { Message } from "#delivery/message.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Received } from "#consumer/received.ts";

export interface WholeMessages {
  /** For each pump: what it is to hand its messages to. */
  watch: (handlers: WatchHandlers) => (received: Received) => void;
  /** To be called when the consumer is as it should be: until then a `max_deliver` of somebody could count. */
  giveBack: () => void;
}

interface WatchHandlers {
  readonly onMessage: (received: Received) => void;
  /** One that was given back is no longer held. */
  readonly release: () => void;
  readonly onLost: (reason: string) => void;
}

interface WholeMessagesOptions {
  /** False: nothing comes again. */
  readonly acks: boolean;
  /** null: there is no such consumer. */
  readonly readConsumer: () => Promise<Pick<ConsumerReading, "config"> | null>;
  readonly logger: Logger;
}

/** As many as may be held wait. */
export function createWholeMessages({ acks, readConsumer, logger }: WholeMessagesOptions): WholeMessages {
  let cut: (() => void)[] = [];
  /** Sequences of those that come again. */
  const whole = new Set<number>();

  /** null: not known. */
  async function isHeadersOnly(): Promise<boolean | null> {
    try {
      const consumer = await readConsumer();
      return consumer === null ? null : consumer.config.headers_only === true;
    } catch (error) {
      logger.debug("Cannot tell whether messages come whole", { error: messageOf(error) });
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
      if (isCut === false) for (const { message } of asked) whole.add(message.sequence);
      asked.forEach(giveBack);
    }

    return (received) => {
      const { message } = received;
      if (!mayBeCut(message) || whole.delete(message.sequence)) return onMessage(received);
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
