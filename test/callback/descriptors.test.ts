// A callback, its proxy and its token endpoint called by a process that has no file descriptor left: the failure is its own.

import { expect, test } from "bun:test";
import { startReceiver } from "../support/receiver.ts";
import { runWithDescriptors } from "../support/few-descriptors.ts";

const IMPORTS = `
  const { openTestCallback, toMessage, NEVER } = await import(${JSON.stringify(new URL("./setup.ts", import.meta.url).pathname)});
  const { toRoute, toTokenEndpoint } = await import(${JSON.stringify(new URL("../support/subscription.ts", import.meta.url).pathname)});
  const options = { mayResend: true, signal: NEVER };`;

test.each([
  ["an address", "{}"],
  ["a name", "{}"],
  [
    "a proxy",
    `{ route: toRoute({ proxy: { kind: "fixed", proxy: { type: "socks5", host: "127.0.0.1", port: 1, username: null, password: null } } }) }`,
  ],
  [
    "a token endpoint",
    `{ auth: { kind: "oauth2", ...toTokenEndpoint(url), clientId: "c", clientSecret: "s", scopes: [], audience: null, clientAuthentication: "body" } }`,
  ],
])("send() to %s without descriptors says so, and connects to nothing", async (what, changes) => {
  await using receiver = await startReceiver();
  const url = new URL(receiver.url);
  if (what === "a name") url.hostname = "localhost";
  const seen = await runWithDescriptors(
    200,
    `${IMPORTS}
    const url = new URL(${JSON.stringify(url.href)});
    const callback = openTestCallback(url, ${changes});
    fill();
    const prepared = await callback.prepare(NEVER);
    const { outcome, sent } = await callback.send(toMessage(), options);
    free(100);
    return [prepared.code, outcome.code, sent, outcome.error];`,
  );
  expect(seen).toEqual([
    "descriptors",
    "descriptors",
    false,
    expect.stringContaining("the relay has no file descriptor left"),
  ]);
  expect(receiver.connections).toBe(0);
});

test("a callback closes its idle connections when another one finds no descriptor", async () => {
  await using receiver = await startReceiver();
  const seen = await runWithDescriptors(
    200,
    `${IMPORTS}
    const url = new URL(${JSON.stringify(receiver.url.href)});
    const [idle, other] = [openTestCallback(url), openTestCallback(url)];
    await idle.send(toMessage(), options);
    const before = idle.stats.openConnections;
    fill();
    const failed = await other.send(toMessage(), options);
    const after = idle.stats.openConnections;
    free(100);
    const { outcome } = await idle.send(toMessage(), options);
    return [before, failed.outcome.code, after, outcome.kind];`,
  );
  expect(seen).toEqual([1, "descriptors", 0, "delivered"]);
});
