// Callbacks to addresses that are not allowed: nothing is sent there, nor to a proxy that would.

import { expect, test } from "bun:test";

import { createDial, type Dialled } from "#callback/connector.ts";
import type { AddressRules, Proxy } from "#delivery/callback.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { toProxy } from "../support/proxies.ts";
import { toRoute } from "../support/subscription.ts";
import { NEVER, openTestCallback, toMessage } from "./setup.ts";

const NO_RULES: AddressRules = { allow: [], deny: [], deniesPrivate: false };
const LOOPBACK = ["127.0.0.0/8", "::1"];

function dial(url: URL, rules: Partial<AddressRules>, proxy: Proxy | null = null): Promise<Dialled> {
  const route = toRoute({
    addresses: { ...NO_RULES, ...rules },
    proxy: proxy === null ? { kind: "none" } : { kind: "fixed", proxy },
  });
  return new Promise((resolve) => {
    createDial({ url, route })(resolve);
  });
}

/** `address` null: it was called by a name. */
function toDenied(url: URL, address: string | null): Dialled {
  const host = url.port === "" ? `${url.hostname}:80` : url.host;
  const which = address === null ? "its address" : `its address ${address}`;
  const error = `Not allowed to call ${host}: ${which} is denied`;
  return { kind: "failed", exception: { kind: "exception", code: "address-denied", error } };
}

test.each([
  ["http://169.254.169.254/latest", {}, "169.254.169.254"],
  ["http://[::ffff:169.254.169.254]/", {}, "::ffff:a9fe:a9fe"],
  ["http://2852039166/", {}, "169.254.169.254"],
  ["http://127.0.0.1:9/", { deny: LOOPBACK }, "127.0.0.1"],
  ["http://0x7f.1:9/", { deny: LOOPBACK }, "127.0.0.1"],
  ["http://[::1]:9/", { deny: LOOPBACK }, "::1"],
  ["http://0.0.0.0:9/", { deniesPrivate: true }, "0.0.0.0"],
] as const)("createDial() refuses %s", async (href, rules, address) => {
  const url = new URL(href);
  expect(await dial(url, rules)).toEqual(toDenied(url, address));
});

test("createDial() refuses a name of which every address is denied", async () => {
  await using receiver = await startReceiver();
  const url = new URL(`http://localhost:${receiver.port}/`);
  for (const rules of [{ deny: LOOPBACK }, { deniesPrivate: true }]) {
    expect(await dial(url, rules)).toEqual(toDenied(url, null));
  }
  expect(receiver.connections).toBe(0);
});

test("createDial() tells the operator, and nobody else, which address a name has that is denied", async () => {
  const route = toRoute({ addresses: { ...NO_RULES, deny: LOOPBACK } });
  const told: unknown[] = [];
  const dialled = await new Promise<Dialled>((resolve) => {
    createDial({ url: new URL("http://localhost:9/"), route, onDenied: (denied) => told.push(denied) })(
      resolve,
    );
  });
  expect(JSON.stringify(dialled)).not.toMatch(/127\.|::1/u);
  expect(told).toHaveLength(1);
  expect(JSON.stringify(told)).toMatch(/"host":"localhost","address":"(?:127\.0\.0\.1|::1)"/u);
});

test("createDial() dials those addresses of a name that are allowed", async () => {
  await using receiver = await startReceiver();
  const dialled = await dial(new URL(`http://localhost:${receiver.port}/`), { deny: ["::1"] });
  if (dialled.kind !== "connected") throw new Error("Not connected");
  dialled.socket.destroy();
});

test("send() tells a denied address, having sent nothing", async () => {
  await using receiver = await startReceiver();
  const addresses = { ...NO_RULES, deny: LOOPBACK };
  await using callback = openTestCallback(receiver.url, { route: toRoute({ addresses }) });
  const exchange = await callback.send(toMessage(), { mayResend: true, signal: NEVER });
  expect(exchange).toMatchObject({ sent: false, outcome: { kind: "exception", code: "address-denied" } });
  expect(await callback.prepare(NEVER)).toMatchObject({ code: "address-denied" });
  expect(receiver.connections).toBe(0);
});

test.each(["http", "socks4", "socks5"] as const)(
  "createDial() checks an address, but neither a name that the proxy looks up nor the proxy's own, through a proxy %s",
  async (type) => {
    await using receiver = await startTcpReceiver((socket) => socket.end());
    const proxy = toProxy(type, { port: receiver.port });
    for (const href of ["https://127.0.0.1/", "http://127.0.0.1/", "https://[::1]/"]) {
      const dialled = await dial(new URL(href), { deny: LOOPBACK }, proxy);
      expect(dialled).toMatchObject({ exception: { code: "address-denied" } });
    }
    expect(receiver.connections).toBe(0);
    const named = await dial(new URL("https://callback.invalid/"), { deny: LOOPBACK }, proxy);
    expect(named).toMatchObject({ exception: { code: "proxy" } });
    expect(receiver.connections).toBe(1);
  },
);

test("createDial() checks a name that it looks up itself, as it does for SOCKS 4", async () => {
  await using receiver = await startTcpReceiver((socket) => socket.end());
  const proxy = toProxy("socks4", { port: receiver.port });
  const url = new URL("https://localhost:9/");
  expect(await dial(url, { deny: LOOPBACK }, proxy)).toEqual(toDenied(url, null));
  expect(receiver.connections).toBe(0);
});
