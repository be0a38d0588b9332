// One connection slot: an undici client that holds at most one connection and opens it when it is asked to send.

import type { Socket } from "node:net";

import { Client, type Dispatcher } from "undici/index.js";

import type { Dial } from "./connector.ts";
import { ExceptionError } from "./exception.ts";
import { tolerateContinue } from "./interim.ts";
import { writeLargeChunksUncopied } from "./socket-writes.ts";

export interface Connection {
  /** Never throws: what fails is told to `handler.onResponseError`. */
  readonly dispatch: (request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => void;
  /** Drops the connection, or the attempt to open one, with whatever waits for it; the next dispatch starts afresh. */
  readonly drop: () => void;
  /** How often a connection was begun: unchanged since a dispatch, that one went over the connection there was. */
  readonly dials: number;
  readonly isOpen: boolean;
}

export interface ConnectionSettings {
  readonly origin: string;
  readonly dial: Dial;
  readonly idleTimeoutMs: number;
}

const MAX_RESPONSE_HEADER_BYTES = 16 * 1024;

export function createConnection({ origin, dial, idleTimeoutMs }: ConnectionSettings): Connection {
  let client: Client | null = null;
  let giveUpDial: (() => void) | null = null;
  let dials = 0;
  let socket: Socket | null = null;

  /** Undici's own time-outs are late and not used: the exchange has a deadline of its own. */
  function createClient(): Client {
    return new Client(origin, {
      allowH2: false,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
      keepAliveMaxTimeout: idleTimeoutMs,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      connect: (_options, onConnected) => {
        dials += 1;
        giveUpDial = dial((dialled) => {
          giveUpDial = null;
          if (dialled.kind === "failed") {
            onConnected(new ExceptionError(dialled.exception), null);
            return;
          }
          socket = dialled.socket;
          socket.once("error", destroyItself);
          tolerateContinue(socket);
          writeLargeChunksUncopied(socket);
          onConnected(null, socket);
        });
      },
    });
  }

  function drop(): void {
    giveUpDial?.();
    giveUpDial = null;
    const dropped = client;
    client = null;
    socket = null;
    dropped?.destroy(null, () => {});
  }

  return {
    dispatch: (request, handler) => {
      client ??= createClient();
      client.dispatch(request, handler);
    },
    drop,
    get dials() {
      return dials;
    },
    get isOpen() {
      return socket !== null && !socket.destroyed;
    },
  };
}

/** At once: else undici tells the end of the connection, which comes later, and not the error. */
function destroyItself(this: Socket): void {
  this.destroy();
}
