// check, schema and init: what they print, and with which exit code they end.

import { expect, test } from "bun:test";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { runCheck } from "#cli/check.ts";
import { findConfig } from "#cli/config-path.ts";
import { runInit } from "#cli/init.ts";
import { runSchema } from "#cli/schema.ts";

async function workplace() {
  const home = await mkdtemp(join(tmpdir(), "relay-cli-"));
  const printed = { stdout: "", stderr: "" };
  return {
    path: join(home, "relay.config.json"),
    printed,
    io: {
      stdout: (content: string | Uint8Array) => void (printed.stdout += String(content)),
      stderr: (text: string) => void (printed.stderr += text),
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true }),
  };
}

test("runInit() writes a config that runCheck() takes without a word", async () => {
  await using place = await workplace();
  const { path, printed, io } = place;
  expect(await runInit({ path, force: false, print: false }, io)).toBe(0);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  printed.stdout = "";
  expect(await runCheck({ path, withoutSecrets: false, env: {} }, io)).toBe(0);
  expect(printed).toEqual({
    stdout: `${path} is valid: 2 endpoints, 1 entrypoint, 1 subscription\n`,
    stderr: "",
  });
});

test("runInit() replaces a file only if it is forced", async () => {
  await using place = await workplace();
  const { path, io } = place;
  await writeFile(path, "mine");
  expect(
    await runInit({ path, force: false, print: false }, io).catch((error: unknown) => error),
  ).toMatchObject({
    message: `Cannot write ${path}: it exists already, and --force replaces it`,
  });
  expect(await readFile(path, "utf8")).toBe("mine");
  expect(await runInit({ path, force: true, print: false }, io)).toBe(0);
  expect(await readFile(path, "utf8")).toContain('"Retry On Fail"');
});

test.each<[string, (file: string) => string, string]>([
  ["a directory", (file) => dirname(file), "it is a directory"],
  ["a file in a directory that is not there", (file) => `${file}/a/b`, "its directory does not exist"],
])("runInit() says why it cannot replace %s", async (_, toPath, reason) => {
  await using place = await workplace();
  const path = toPath(place.path);
  expect(
    await runInit({ path, force: true, print: false }, place.io).catch((error: unknown) => error),
  ).toMatchObject({ code: "unavailable", message: `Cannot write ${path}: ${reason}` });
});

test("runInit() refuses a path that is empty", async () => {
  await using place = await workplace();
  expect(
    await runInit({ path: "", force: false, print: false }, place.io).catch((error: unknown) => error),
  ).toMatchObject({ code: "usage", message: "Cannot write '': it names no file" });
});

test("runInit() prints instead of writing", async () => {
  await using place = await workplace();
  const { path, printed, io } = place;
  expect(await runInit({ path, force: false, print: true }, io)).toBe(0);
  expect(JSON.parse(printed.stdout)).toHaveProperty("entrypoints");
  expect(await Bun.file(path).exists()).toBe(false);
});

test("runCheck() ends with 78 and the report on standard error", async () => {
  await using place = await workplace();
  const { path, printed, io } = place;
  await writeFile(path, '{\n  "endpoints": []\n}');
  expect(await runCheck({ path, withoutSecrets: false, env: {} }, io)).toBe(78);
  expect(printed).toEqual({
    stdout: "",
    stderr: [
      `${path} is not valid, 2 faults:`,
      `  ${path}:1:1 entrypoints: missing, allowed: a list of 1 to 1000; relay init --print shows a whole config`,
      `  ${path}:2:16 endpoints: found a list of 0, allowed: a list of 1 to 1000`,
      "",
    ].join("\n"),
  });
});

test("runCheck() prints warnings and notes", async () => {
  await using place = await workplace();
  const { path, printed, io } = place;
  const file = {
    endpoints: [{ name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } }],
    entrypoints: [
      {
        type: "webhook",
        qos: "AT_LEAST_ONCE",
        configuration: { http: { maxConcurrentConnections: 2 }, ordering: { onFailure: "subscription" } },
      },
    ],
    subscriptions: [{ configuration: { entrypointId: "webhook", callbackUrl: { env: "NOT_THERE" } } }],
  };
  await writeFile(path, JSON.stringify(file));
  expect(await runCheck({ path, withoutSecrets: true, env: {} }, io)).toBe(0);
  expect(printed.stdout.split("\n")).toEqual([
    `${path} is valid: 1 endpoint, 1 entrypoint, 1 subscription`,
    "  from the environment variable NOT_THERE: subscriptions[0].configuration.callbackUrl",
    `  warning: ${path}:1:191 entrypoints[0].configuration.http.maxConcurrentConnections: it counts as 1 under AT_LEAST_ONCE without an ordering.key`,
    "",
  ]);
});

test("runSchema() prints JSON", async () => {
  await using place = await workplace();
  expect(runSchema(place.io)).toBe(0);
  expect(JSON.parse(place.printed.stdout)).toMatchObject({ title: "Relay configuration", type: "object" });
});

test.each([
  ["named.json", ["relay.config.json"], "named.json"],
  [undefined, ["relay.config.json", "/etc/relay/relay.config.json"], "relay.config.json"],
  [undefined, ["/etc/relay/relay.config.json"], "/etc/relay/relay.config.json"],
  [undefined, [], "relay.config.json"],
])("findConfig() given %p, with %p there, means %p", (named, there, expected) => {
  expect(findConfig(named, { isThere: (path) => there.includes(path) })).toBe(expected);
});
