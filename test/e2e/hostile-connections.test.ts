// Strangers and tenants at the listener of a relay with few descriptors: its deliveries go on, and so do its operators.

import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { bearer } from "../http/gated.ts";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";
import { createCertificates } from "../support/tls.ts";

const DESCRIPTORS = 256;
const FEW_DESCRIPTORS = ["sh", "-c", `ulimit -n ${DESCRIPTORS} && exec "$0" "$@"`];
const TOKEN = "token-of-the-operator";
const REQUEST = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

/** Comes back whenever it is closed, until it is disposed of. */
function besiege(
  port: number,
  { from, text, isReading }: { from: string; text: string; isReading: boolean },
) {
  let socket: Socket;
  let isOver = false;
  let count = 0;
  const open = () => {
    if (isOver) return;
    count += 1;
    socket = connect({ port, host: "127.0.0.1", localAddress: from });
    socket.on("error", () => {});
    if (!isReading) socket.pause();
    socket.write(text);
    socket.once("close", () => setTimeout(open, 2000));
  };
  open();
  return {
    count: () => count,
    [Symbol.dispose]() {
      isOver = true;
      socket.destroy();
    },
  };
}

test.each([
  ["that send nothing", "", false, true],
  ["that send half a head", "POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nA:", false, true],
  [
    "that send half a body",
    "POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    false,
    true,
  ],
  ["that read nothing", REQUEST.repeat(16), false, false],
  ["that do not shake hands", "", true, true],
])(
  "hundreds of connections %s cost no delivery, and keep no operator out",
  async (_, text, isSecure, isReading) => {
    await using directory = await temporaryDirectory();
    await using receiver = await startReceiver();
    await using nats = await startNatsServer();
    const client = await nats.connect();
    await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
    const { ca, server } = await createCertificates(directory.path);
    const { certFile, keyFile } = server;
    await using relay = await startRelay({
      directory: directory.path,
      wrapper: FEW_DESCRIPTORS,
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: receiver.url.href,
        more: {
          server: {
            listen: "127.0.0.1:0",
            auth: { type: "token", value: TOKEN },
            ...(isSecure ? { tls: { certFile, keyFile } } : {}),
          },
        },
      }),
    });
    const url = await relay.url();
    const port = Number(new URL(url).port);
    using siege = new DisposableStack();
    // One address with hundreds, and ten with dozens.
    for (let index = 0; index < 600; index += 1) {
      const from = index < 300 ? "127.0.0.2" : `127.0.0.${10 + (index % 10)}`;
      siege.use(besiege(port, { from, text, isReading }));
    }
    const local = await openApi("http://localhost", { socket: join(directory.path, ".relay", "relay.sock") });
    for (let index = 0; index < 20; index += 1) {
      client.publish("orders.new", `message ${index}`);
      await client.flush();
      await eventually(() => receiver.requests.length > index);
      expect((await local("GET", "/api/status")).status).toBe(200);
      const open = /process_open_fds (\d+)/u.exec(String((await local("GET", "/metrics")).body))?.[1];
      expect(Number(open)).toBeLessThan(DESCRIPTORS / 2);
    }
    expect(relay.logs.filter((line) => JSON.stringify(line).includes("EMFILE"))).toEqual([]);
    // A few of its connections may be those that make room.
    await eventually(async () => {
      const response = await fetch(`${url}/api/status`, {
        headers: bearer(TOKEN),
        keepalive: false,
        signal: AbortSignal.timeout(2000),
        ...(isSecure ? { tls: { ca, checkServerIdentity: () => undefined } } : {}),
      });
      return response.status === 200;
    });
  },
  120_000,
);
