// A wire between a relay and a server: as long as a test wants it, and cut when it wants that.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Link extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>` of its near end. */
  readonly url: string;
  /** What is on its way is gone, and nobody gets through. */
  cut: () => void;
  mend: () => void;
  /** As `LinkOptions.delayMs`, from now on; not less than before. */
  lengthen: (delayMs: number) => void;
}

export interface LinkOptions {
  /** From one end to the other; a request and its answer take twice that. */
  readonly delayMs?: number;
}

export async function startLink(port: number, options: LinkOptions = {}): Promise<Link> {
  const sockets = new Set<Socket>();
  let delayMs = options.delayMs ?? 0;
  let isCut = false;

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
  }

  function carry(from: Socket, to: Socket): void {
    from.on("data", (bytes) => void setTimeout(() => to.destroyed || to.write(bytes), delayMs));
    from.once("close", () => void setTimeout(() => to.destroy(), delayMs));
  }

  const server = createServer((near) => {
    track(near);
    if (isCut) {
      near.destroy();
      return;
    }
    const far = connect({ port, host: "127.0.0.1" });
    track(far);
    carry(near, far);
    carry(far, near);
  });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const { port: nearPort } = server.address() as AddressInfo;
  return {
    url: `nats://127.0.0.1:${nearPort}`,
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    lengthen(longerMs) {
      delayMs = longerMs;
    },
    async [Symbol.asyncDispose]() {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      for (const socket of sockets) socket.destroy();
      await closed.promise;
    },
  };
}
