// A link with a long way: a proxy for TCP that hands on every byte later, without holding up those behind it.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface SlowLink extends AsyncDisposable {
  readonly url: string;
}

/** To a NATS server on `port`; there and back takes `roundTripMs`. */
export async function startSlowLink(port: number, roundTripMs: number): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: "127.0.0.1", noDelay: true });
    join(near, far);
    join(far, near);
  });

  function join(from: Socket, to: Socket): void {
    sockets.add(from);
    const later = (act: () => void) => setTimeout(act, roundTripMs / 2);
    from.on("data", (chunk: Buffer) => later(() => to.writable && to.write(chunk)));
    from.on("close", () => {
      sockets.delete(from);
      later(() => to.destroy());
    });
    from.on("error", () => from.destroy());
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `nats://127.0.0.1:${own}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
