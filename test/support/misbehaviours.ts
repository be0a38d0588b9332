// What a callback can do to a connection once it has the request on it.

import type { Socket } from "node:net";

/** Or the URL of a callback that is not there. */
export type Misbehaviour =
  | { readonly on: (socket: Socket) => void }
  | { readonly url: () => Promise<string> };

export const HUGE = Buffer.alloc(1024 * 1024, "x");
/** A status line; headers, an empty line and a body may follow. */
export const OK = "HTTP/1.1 200 OK\r\n";

export function answer(head: string, body: string | Uint8Array = ""): Misbehaviour {
  return {
    on(socket) {
      socket.write(head);
      socket.write(body);
    },
  };
}

/** A body that does not end, as fast as it is taken. */
export function flood(statusLine: string): Misbehaviour {
  return {
    on(socket) {
      socket.write(`${statusLine}Content-Type: text/plain\r\n\r\n`);
      const pour = () => {
        while (!socket.destroyed && socket.write(HUGE));
      };
      socket.on("drain", pour);
      pour();
    },
  };
}
