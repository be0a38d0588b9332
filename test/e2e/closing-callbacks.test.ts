// Callbacks that close connections nobody uses, as many do after a while: under AT_MOST_ONCE, where nothing is sent twice,
// a request on a connection whose close is on its way is lost. Each message has a connection of its own there.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { createServer as createTcpServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startTcpReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";
import { createCertificates } from "../support/tls.ts";

const MESSAGES = 60;
const CLOSES_AFTER_MS = 10;
const ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

interface Way {
  readonly name: string;
  readonly isTls: boolean;
  /** Once the answer is written. */
  readonly close: (socket: Socket) => void;
}

const WAYS: readonly Way[] = [true, false].flatMap((isTls) => [
  {
    name: `10 ms later${isTls ? ", over TLS" : ""}`,
    isTls,
    close: (socket) => setTimeout(() => socket.destroy(), CLOSES_AFTER_MS),
  },
  {
    name: `its own half 10 ms later${isTls ? ", over TLS" : ""}`,
    isTls,
    close: (socket) => setTimeout(() => socket.end(), CLOSES_AFTER_MS),
  },
]);

test.each(WAYS.map((way) => [way.name, way] as const))(
  "a callback that answers 200 and closes the connection %s gets each of 60 messages, exactly once, in order",
  async (_name, { isTls, close }) => {
    await using directory = await temporaryDirectory();
    const { caFile, server: identity } = await createCertificates(directory.path);
    const sequences: number[] = [];
    const sockets = new Set<Socket>();
    const onConnection = (socket: Socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        sequences.push(Number(/nats-sequence: (\d+)/i.exec(chunk.toString("latin1"))?.[1]));
        socket.write(ANSWER);
        close(socket);
      });
    };
    const server: Server = isTls
      ? createTlsServer({ ...identity, allowHalfOpen: true }, onConnection)
      : createTcpServer({ allowHalfOpen: true }, onConnection);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { readonly port: number };
    await using nats = await startNatsServer();
    const client = await nats.connect();
    await addStream(client);
    for (let index = 0; index < MESSAGES; index += 1) await jetstream(client).publish("orders.x", "{}");
    await using relay = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: `${isTls ? "https" : "http"}://127.0.0.1:${port}/`,
        qos: "AT_MOST_ONCE",
        subscription: isTls ? { ssl: { trustStore: { type: "PEM", path: caFile } } } : {},
      }),
    });
    const delivered = { subscription: "sub", ending: "delivered" };
    await eventually(async () => (await readMetric(relay, "relay_messages_total", delivered)) === MESSAGES);
    expect(sequences).toEqual(Array.from({ length: MESSAGES }, (_, index) => index + 1));
    for (const socket of sockets) socket.destroy();
    server.close();
  },
);

test("under AT_MOST_ONCE the connection of the next message is opened while the one before is in flight", async () => {
  const second = Promise.withResolvers<null>();
  let requests = 0;
  await using receiver = await startTcpReceiver((socket, index) => {
    if (index === 1) second.resolve(null);
    socket.on("data", () => {
      requests += 1;
      void second.promise.then(() => socket.end(ANSWER));
    });
  });
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await using relay = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, qos: "AT_MOST_ONCE" }),
  });
  await jetstream(client).publish("orders.x", "{}");
  await eventually(() => requests === 1);
  // Nobody waits for a connection while there is no message for it.
  expect(receiver.connections).toBe(1);
  await jetstream(client).publish("orders.x", "{}");
  const delivered = { subscription: "sub", ending: "delivered" };
  await eventually(async () => (await readMetric(relay, "relay_messages_total", delivered)) === 2);
  expect(receiver.connections).toBe(2);
});
