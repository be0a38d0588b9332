// Where callbacks may go, through the binary: what is denied is not even connected to, and says so in its own words.

import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  expectDelivered,
  expectRefused,
  type LabServer,
  startLab,
  startLabServer,
  type Way,
} from "../support/callback-lab.ts";
import { startAuthorizationServer } from "../support/authorization-server.ts";
import { type Receiver, startReceiver, startTcpReceiver, type TcpReceiver } from "../support/receiver.ts";
import type { RelayProcess } from "../support/relay.ts";

const DENIED = { deny: ["127.0.0.0/8", "::1"], allow: ["127.0.0.1"] };
const stack = new AsyncDisposableStack();
let server: LabServer;
let receiver: Receiver;
let strict: RelayProcess;
let usual: RelayProcess;
let proxy: TcpReceiver;

beforeAll(async () => {
  server = stack.use(await startLabServer());
  receiver = stack.use(await startReceiver());
  const tokens = stack.use(
    await startAuthorizationServer({ client: { client_id: "relay", client_secret: "a-secret-of-relay" } }),
  );
  proxy = stack.use(await startTcpReceiver(() => {}));
  const at = (host: string) => `http://${host}:${receiver.port}/`;
  const proxied = {
    proxy: { enabled: true, useSystemProxy: false, type: "HTTP", host: "127.0.0.1", port: proxy.port },
  };
  const oauth2 = {
    endpoint: tokens.tokenUrl.href.replace("127.0.0.1", "127.0.0.2"),
    clientId: "relay",
    clientSecret: "a-secret-of-relay",
  };
  const ways: readonly Way[] = [
    { id: "allowed", call: { callbackUrl: at("127.0.0.1") } },
    { id: "denied", call: { callbackUrl: at("127.0.0.2") } },
    { id: "spelt-otherwise", call: { callbackUrl: at("0x7f.2") } },
    { id: "mapped", call: { callbackUrl: at("[::ffff:127.0.0.2]") } },
    { id: "through-a-proxy", call: { callbackUrl: at("127.0.0.2") }, through: proxied },
    {
      id: "token-endpoint",
      call: { callbackUrl: at("127.0.0.1"), auth: { type: "oauth2", oauth2 } },
    },
  ];
  strict = stack.use(await startLab(server, ways, { more: { callbacks: DENIED } }));
  usual = stack.use(
    await startLab(server, [
      { id: "metadata", call: { callbackUrl: "http://169.254.169.254/latest/meta-data/" } },
      { id: "metadata-mapped", call: { callbackUrl: "http://[::ffff:100.100.100.200]/" } },
      { id: "metadata-nat64", call: { callbackUrl: "http://[64:ff9b::169.254.169.254]/" } },
      { id: "loopback", call: { callbackUrl: at("localhost") } },
    ]),
  );
});
afterAll(() => stack.disposeAsync());

test("allow wins over a wider deny", async () => {
  await expectDelivered(server, strict, { id: "allowed" });
});

test.each([
  ["denied", "127.0.0.2", "127.0.0.2"],
  ["spelt-otherwise", "127.0.0.2", "127.0.0.2"],
  ["mapped", "[::ffff:7f00:2]", "::ffff:7f00:2"],
  ["through-a-proxy", "127.0.0.2", "127.0.0.2"],
])("a denied address is an exception of its own: %s", async (id, host, address) => {
  await expectRefused(server, strict, {
    id,
    cause: "address-denied",
    error: `Not allowed to call ${host}:${receiver.port}: its address ${address} is denied`,
  });
  expect(proxy.connections).toBe(0);
});

test("a denied token endpoint is named, and the callback is not called", async () => {
  await expectRefused(server, strict, {
    id: "token-endpoint",
    cause: "address-denied",
    error:
      /^Cannot get an access token from http:\/\/127\.0\.0\.2:\d+\/token: not allowed to call 127\.0\.0\.2:\d+: its address 127\.0\.0\.2 is denied$/,
  });
});

test.each([
  ["metadata", "169.254.169.254:80", "169.254.169.254"],
  ["metadata-nat64", "[64:ff9b::a9fe:a9fe]:80", "64:ff9b::a9fe:a9fe"],
  ["metadata-mapped", "[::ffff:6464:64c8]:80", "::ffff:6464:64c8"],
])("metadata services are denied where the config says nothing: %s", async (id, host, address) => {
  await expectRefused(server, usual, {
    id,
    cause: "address-denied",
    error: `Not allowed to call ${host}: its address ${address} is denied`,
  });
});

test("other addresses are allowed where the config says nothing, and no denied one was called", async () => {
  await expectDelivered(server, usual, { id: "loopback" });
  await expectDelivered(server, strict, { id: "allowed" });
  const ways = receiver.requests.map(({ body }) => (JSON.parse(body.toString()) as { way: string }).way);
  expect(ways.toSorted()).toEqual(["allowed", "loopback"]);
});
