// TLS with the callback, over a connection that is up.

import type { Socket } from "node:net";
import { connect, type ConnectionOptions } from "node:tls";

import type { TlsSettings } from "#delivery/callback.ts";
import { type Dialled, toFailed } from "./dialled.ts";
import { CLOSED, toException, toTlsException } from "./exception.ts";
import type { OpenedSockets } from "./opened-sockets.ts";
import { toTlsOptions } from "./tls-options.ts";

/** Ends when the socket is destroyed, too. */
export type TlsStep = (raw: Socket, sockets: OpenedSockets) => Promise<Dialled>;

/** `address`: for messages. */
export function createTlsStep(
  settings: TlsSettings,
  { host, address }: { readonly host: string; readonly address: string },
): TlsStep {
  let options: ConnectionOptions | null = null;

  return (raw, sockets) =>
    new Promise((resolve) => {
      const fail = (error: unknown) => resolve(toFailed(toTlsException(error, address)));
      // The runtime would leave them out without a word.
      if (raw.readableLength > 0) {
        resolve(toFailed(toException("tls", `Cannot reach ${address} by TLS: it spoke before it was asked`)));
        return;
      }
      try {
        options ??= toTlsOptions(settings, host);
        const socket = sockets.own(connect({ ...options, socket: raw }));
        socket.once("secureConnect", () => resolve({ kind: "connected", socket }));
        for (const each of [raw, socket]) each.once("error", fail).once("close", () => fail(CLOSED));
      } catch (error) {
        fail(error);
      }
    });
}
