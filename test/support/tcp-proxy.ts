// A TCP proxy that can stop to forward, without a word to either side: what a firewall does that has forgotten a connection.

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** Connections made so far. */
  readonly connections: number;
  /** Nothing is forwarded any more on the connections there are; later ones are not concerned. */
  freeze: () => void;
  /** Of what the server sends on the connections there are, one byte comes through in this time. */
  drip: (intervalMs: number) => void;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const timers: Timer[] = [];
  let connections = 0;
  const listener = createServer((client) => {
    connections += 1;
    const server = connect(targetPort, "127.0.0.1");
    const pair = { client, server };
    pairs.add(pair);
    client.pipe(server);
    server.pipe(client);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  });
  const listening = Promise.withResolvers<void>();
  listener.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;

  return {
    port: (listener.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    freeze() {
      for (const { client, server } of pairs) {
        client.unpipe();
        server.unpipe();
        client.pause();
        server.pause();
      }
    },
    drip(intervalMs) {
      for (const { client, server } of pairs) {
        let waiting = Buffer.alloc(0);
        server.unpipe();
        server.on("data", (bytes: Buffer) => {
          waiting = Buffer.concat([waiting, bytes]);
        });
        server.resume();
        timers.push(
          setInterval(() => {
            client.write(waiting.subarray(0, 1));
            waiting = waiting.subarray(1);
          }, intervalMs),
        );
      }
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearInterval(timer);
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
      const closed = Promise.withResolvers<void>();
      listener.close(() => closed.resolve());
      await closed.promise;
    },
  };
}
