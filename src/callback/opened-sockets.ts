// What one dial has opened, so that all of it can be closed at once.

import type { Socket } from "node:net";

export interface OpenedSockets {
  /**
   * Adds a socket; it is closed at once if the dial is over. Its `error` listener stays for good: an error that comes
   * late and finds none ends the process.
   */
  readonly own: <T extends Socket>(socket: T) => T;
  /** The dial has failed or was given up. */
  readonly destroyAll: () => void;
  readonly areDestroyed: boolean;
}

export function createOpenedSockets(): OpenedSockets {
  const sockets = new Set<Socket>();
  let areDestroyed = false;

  return {
    own(socket) {
      socket.on("error", () => {});
      socket.once("close", () => sockets.delete(socket));
      if (areDestroyed) socket.destroy();
      else sockets.add(socket);
      return socket;
    },
    destroyAll() {
      areDestroyed = true;
      for (const socket of sockets) socket.destroy();
    },
    get areDestroyed() {
      return areDestroyed;
    },
  };
}
