// What is saved: whole or not at all, and never in the place of a device.

import { expect, test } from "bun:test";
import { readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { save } from "#cli/save.ts";
import { temporaryDirectory } from "../support/relay.ts";

const NOWHERE = { stdout: () => undefined, stderr: () => undefined };

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

async function* brokenOff(): AsyncGenerator<Uint8Array> {
  yield* pieces("some");
  throw new Error("it broke off");
}

test("save() replaces a file by what came, for its owner only", async () => {
  await using home = await temporaryDirectory();
  const path = join(home.path, "payload");
  await writeFile(path, "before");
  expect(await save(pieces("one ", "two"), { path, io: NOWHERE })).toBe(7);
  expect(await Bun.file(path).text()).toBe("one two");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("save() leaves what was there, and nothing else, where not all came", async () => {
  await using home = await temporaryDirectory();
  const path = join(home.path, "payload");
  await writeFile(path, "before");
  const failure = await save(brokenOff(), { path, io: NOWHERE }).catch(String);
  expect(failure).toBe(`RelayError: Cannot write ${path}: it broke off`);
  expect(await Bun.file(path).text()).toBe("before");
  expect(await readdir(home.path)).toEqual(["payload"]);
});

test("save() writes to what is no file, and does not replace it", async () => {
  await using home = await temporaryDirectory();
  const path = join(home.path, "pipe");
  expect(await Bun.spawn(["mkfifo", path]).exited).toBe(0);
  const reader = Bun.spawn(["cat", path], { stdout: "pipe" });
  expect(await save(pieces("through"), { path, io: NOWHERE })).toBe(7);
  expect(await new Response(reader.stdout).text()).toBe("through");
  expect((await stat(path)).isFIFO()).toBe(true);
});
