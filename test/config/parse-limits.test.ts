// A file that is all faults costs time and memory in proportion to its size, and its report is short.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runRelay, temporaryDirectory } from "../support/relay.ts";

test.each([
  ["50,000 unknown keys", `{${Array.from({ length: 50_000 }, (_, n) => `"k${n}":1`).join(",")}}`],
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
