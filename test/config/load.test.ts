// A config from disk: whole, or refused with the whole report.

import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";
import { FILE } from "./parse-for-test.ts";

async function directory() {
  const path = await mkdtemp(join(tmpdir(), "relay-load-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("loadConfig() refuses a file that is not there", async () => {
  expect(
    await loadConfig("/nowhere/relay.config.json", { env: {} }).catch((error: unknown) => error),
  ).toMatchObject({
    code: "config-invalid",
    message: "Cannot read /nowhere/relay.config.json: no such file",
  });
});

test("loadConfig() refuses a file with faults, with the report as message", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(path, JSON.stringify({ ...FILE, log: {} }));
  expect(await loadConfig(path, { env: {} }).catch((error: unknown) => error)).toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining('log: unknown key, did you mean "logs"?'),
  });
});

test("loadConfig() takes paths relative to the file", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(join(home.path, "ca.pem"), "");
  await writeFile(path, JSON.stringify({ ...FILE, nats: { tls: { caFile: "ca.pem" } } }));
  const config = await loadConfig(path, { env: {} });
  expect(config.nats.tls?.caFile).toBe(join(home.path, "ca.pem"));
  expect(config.state.directory).toBe(join(home.path, ".relay"));
});

test("loadConfig() takes the sample config", async () => {
  const path = new URL("../../relay.config.json", import.meta.url).pathname;
  const config = await loadConfig(path, { env: {} });
  expect(config.subscriptions.map(({ id }) => id)).toEqual(["billing", "warehouse"]);
  expect(config.subscriptions[0]).toMatchObject({
    resume: { kind: "auto" },
    retry: { kind: "exponential" },
    deadLetters: [{ name: "dead-letters", create: { replicas: 1 } }],
  });
  expect([...config.warnings, ...config.unused]).toEqual([]);
});
