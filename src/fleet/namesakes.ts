// Finds another relay of the same `host.name`: each says now and then that it is there, where the other one hears it.

import { isObject, parseJson } from "#lib/json.ts";
import type { Logger } from "#lib/logger.ts";
import type { Connection } from "#nats/connection.ts";
import { listen, publishPlain } from "#nats/plain-messages.ts";

interface NamesakeOptions {
  readonly connection: Connection;
  readonly subject: string;
  /** Of this run of the relay. */
  readonly id: string;
  readonly host: string;
  readonly logger: Logger;
  readonly everyMs?: number;
}

interface Namesakes {
  /** Null: there is no other. */
  readonly fault: () => string | null;
  readonly close: () => void;
}

const EVERY_MS = 60_000;
const MAX_BYTES = 1024;

/** A relay that was not heard for three turns is gone. */
export function watchNamesakes(options: NamesakeOptions): Namesakes {
  const { connection, subject, id, host, logger, everyMs = EVERY_MS } = options;
  let heardAt = Number.NEGATIVE_INFINITY;
  let isLogged = false;
  const isThere = () => performance.now() - heardAt < 3 * everyMs;
  const text = `Another relay is called ${host} too: give each a host.name of its own`;

  function tell(isAnswer: boolean): void {
    publishPlain(connection, subject, { payload: JSON.stringify({ id, isAnswer }) });
  }

  function hear(data: Uint8Array): void {
    const said = data.length > MAX_BYTES ? null : parseJson(new TextDecoder().decode(data));
    if (!isObject(said) || typeof said["id"] !== "string" || said["id"] === id) return;
    heardAt = performance.now();
    if (!isLogged) logger.error(text);
    // Two that answer each other's answers would never end.
    if (said["isAnswer"] !== true && !isLogged) tell(true);
    isLogged = true;
  }

  const stop = listen(connection, subject, { onMessage: ({ data }) => hear(data) });
  const forget = connection.onReconnect(() => tell(false));
  tell(false);
  const timer = setInterval(() => {
    if (!isThere()) isLogged = false;
    tell(false);
  }, everyMs);
  return {
    fault: () => (isThere() ? text : null),
    close() {
      clearInterval(timer);
      forget();
      stop();
    },
  };
}
