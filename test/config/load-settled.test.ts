// A file that is being written is loaded as it is in the end; a fault that stays is reported.

import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettledConfig, loadConfig } from "#config/load.ts";
import { eventually } from "../support/eventually.ts";
import { FILE, withDelivery } from "./parse-for-test.ts";

async function openFile(text: string) {
  const directory = await mkdtemp(join(tmpdir(), "relay-settled-"));
  const path = join(directory, "relay.config.json");
  await writeFile(path, text);
  return { path, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

const WHOLE = JSON.stringify(FILE);
const HALF = JSON.stringify(withDelivery({ callbackUrl: { env: "HALF" } }));
const { signal } = new AbortController();

/** An environment that tells when the half file was looked at, and has nothing for it. */
function createEnvironment() {
  let looks = 0;
  const env = {
    get HALF() {
      looks += 1;
      return undefined;
    },
  };
  return { env, looked: () => looks > 0 };
}

test("loadSettledConfig() accepts a file that is complete a moment later", async () => {
  await using file = await openFile(HALF);
  const { env, looked } = createEnvironment();
  const loading = loadSettledConfig(file.path, { env, signal, retryMs: 200 });
  await eventually(looked);
  await writeFile(file.path, WHOLE);
  expect((await loading).subscriptions.map(({ id }) => id)).toEqual(["a"]);
});

test("loadSettledConfig() reports the faults of the second load", async () => {
  await using file = await openFile(HALF);
  const { env, looked } = createEnvironment();
  const loading = loadSettledConfig(file.path, { env, signal, retryMs: 200 }).catch(
    (error: unknown) => error,
  );
  await eventually(looked);
  await writeFile(file.path, JSON.stringify({ ...FILE, log: {} }));
  expect(String(await loading)).toMatch(/1 fault:\n.* log: unknown key; did you mean "logs"\?$/u);
});

test("loadSettledConfig() reports the first faults at once when it is aborted", async () => {
  await using file = await openFile("{");
  const aborted = AbortSignal.abort();
  const loading = loadSettledConfig(file.path, { env: {}, signal: aborted, retryMs: 3_600_000 });
  expect(await loading.catch((error: unknown) => error)).toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining("not valid JSON"),
  });
});

test("loadSettledConfig() follows references again if only they were at fault", async () => {
  await using file = await openFile(HALF);
  const { env, looked } = createEnvironment();
  const found: string[] = [];
  const watched = {
    get HALF() {
      return env.HALF ?? found[0];
    },
  };
  const loading = loadSettledConfig(file.path, { env: watched, signal, retryMs: 200 });
  await eventually(looked);
  found.push("http://127.0.0.1/");
  expect((await loading).subscriptions).toHaveLength(1);
});

test("loadSettledConfig() parses an unchanged text with faults of its own only once", async () => {
  await using file = await openFile(HALF.replace("{", '{"log":{},'));
  let looks = 0;
  const env = {
    get HALF() {
      looks += 1;
      return undefined;
    },
  };
  const parsed = await loadConfig(file.path, { env }).catch(String);
  const looksOfOne = looks;
  looks = 0;
  const settled = await loadSettledConfig(file.path, { env, signal, retryMs: 10 }).catch(String);
  expect([looksOfOne > 0, looks, settled]).toEqual([true, looksOfOne, parsed]);
});
