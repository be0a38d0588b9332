// What is recorded of an entrypoint, kept in the bucket: for every relay, after a restart, and whatever others write there.

import { expect, test } from "bun:test";
import { createOverrides } from "#delivery-log/overrides.ts";
import { createKeptLogging } from "#registry/kept-logging.ts";
import { openBucket } from "#bucket/bucket.ts";
import { eventually } from "../support/eventually.ts";
import { connected, type TestConnection } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";

const ALL = {
  logging: { enabled: true, request: { headers: true, payload: false }, response: {} },
  sampling: { type: "ALL" },
} as const;

function openRelay(connection: TestConnection) {
  const { logger } = connection;
  const bucket = openBucket(connection, { name: "relay", logger, commandPath: null, signer: null });
  const overrides = createOverrides(() => {});
  const kept = createKeptLogging({ bucket, onChanged: overrides.keep });
  const close = async () => {
    kept.close();
    overrides.close();
    await bucket.close();
  };
  return { bucket, overrides, kept, [Symbol.asyncDispose]: close };
}

test("set() holds on all relays, after a restart too, until remove(); what is no setting has no effect", async () => {
  await using server = await startNatsServer();
  await using connection = await connected(server.url);
  await using one = openRelay(connection);
  await using other = openRelay(connection);
  expect(await one.kept.set("webhook", ALL)).toBe(true);
  for (const { overrides } of [one, other]) {
    await eventually(() => overrides.of("webhook") !== null);
    expect(overrides.of("webhook")).toMatchObject({ until: null, sampling: { kind: "all" } });
  }
  const until = new Date(Date.now() + 60_000);
  const brief = { logging: NOTHING, sampling: { kind: "count", every: 2 }, until } as const;
  one.overrides.set("webhook", brief);
  expect(one.overrides.of("webhook")).toEqual(brief);
  one.overrides.remove("webhook");
  expect(one.overrides.of("webhook")?.until).toBeNull();
  await using restarted = openRelay(connection);
  await eventually(() => restarted.overrides.of("webhook") !== null);
  await other.kept.remove("webhook");
  for (const { overrides } of [one, other, restarted])
    await eventually(() => overrides.of("webhook") === null);
  for (const value of ["no JSON", "[]", '{"logging":{},"sampling":{"type":"NONE"}}']) {
    one.bucket.put("logging.webhook", value);
    await eventually(() => other.bucket.get("logging.webhook")?.value === value);
    expect(other.overrides.of("webhook")).toBeNull();
  }
});

const NOTHING = { requestHeaders: false, requestBody: false, responseHeaders: false, responseBody: false };
