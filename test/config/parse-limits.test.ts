// A file that is all faults costs time and memory in proportion to its size, and its report is short.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runRelay, temporaryDirectory } from "../support/relay.ts";

test.each([
  ["50,000 unknown keys", `{${Array.from({ length: 50_000 }, (_, n) => `"k${n}":1`).join(",")}}`],
  ["300,000 entries where 10,000 are allowed", `{"subscriptions":[${Array(300_000).fill("0").join(",")}]}`],
  ["a million values", `[${Array(1_000_000).fill("0").join(",")}]`],
  ["a key of a megabyte", `{"${"k".repeat(1_000_000)}":1}`],
  [
    "an unknown endpoint name of a megabyte",
    `{"entrypoints":[{"type":"webhook","endpoint":"${"n".repeat(1_000_000)}"}]}`,
  ],
])("%s", async (_, text) => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  await writeFile(path, text);
  const { exitCode, stderr } = await runRelay(["check", "--config", path]);
  expect(exitCode).toBe(78);
  expect(stderr.length).toBeLessThan(64 * 1024);
});

test("relay check names a hundred unknown keys of an object, and counts the others", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  await writeFile(path, `{${Array.from({ length: 5000 }, (_, n) => `"k${n}":1`).join(",")}}`);
  const { stderr } = await runRelay(["check", "--config", path]);
  expect(stderr).toContain(`:1:1 4900 more unknown keys\n`);
  expect(stderr).toContain(" k0: unknown key");
});

test("relay check refuses a file of more than 12 MiB unread", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  await writeFile(path, " ".repeat(12 * 1024 * 1024 + 1));
  const { exitCode, stderr } = await runRelay(["check", "--config", path]);
  expect([exitCode, stderr]).toEqual([78, `Cannot read ${path}: it is larger than 12582912 bytes\n`]);
});
