// One reload after the other, whole or not at all: several at once, one that hangs, one that is refused, and the end of the relay.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createReloader, listFixedChanges } from "#app/reload.ts";
import { loadConfig } from "#config/load.ts";
import type { Config } from "#config/resolve.ts";
import { RelayError } from "#lib/errors.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { temporaryDirectory } from "../support/relay.ts";

let stack: AsyncDisposableStack;
let directory: string;
let files = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  directory = stack.use(await temporaryDirectory()).path;
});
afterAll(() => stack.disposeAsync());

interface Apply {
  readonly url: string;
  readonly end: (changes: readonly string[]) => void;
  readonly fail: (error: Error) => void;
}

function toText(path: string, more: Record<string, unknown> = {}): string {
  return JSON.stringify(
    testConfig({ natsUrl: "nats://127.0.0.1:4222", callbackUrl: `http://127.0.0.1:9/${path}`, more }),
  );
}

/** A reloader whose `apply` hangs until the test ends it. */
async function setUp() {
  files += 1;
  const path = join(directory, `relay-${files}.config.json`);
  const write = (text: string) => writeFile(path, text);
  await write(toText("first"));
  const applies: Apply[] = [];
  const stopping = new AbortController();
  const logger = createRecordingLogger();
  const reloader = createReloader({
    path,
    env: {},
    logger,
    signal: stopping.signal,
    apply({ subscriptions: [only] }: Config) {
      const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
      applies.push({ url: only?.callback.url.pathname ?? "", end: resolve, fail: reject });
      return promise;
    },
  });
  const apply = (number: number) => eventually(() => applies[number - 1], { what: `apply ${number}` });
  return { reloader, write, applies, apply, stopping, logger };
}

test("reloads that are asked for while one hangs share the next one, which reads the file as it is then", async () => {
  const own = await setUp();
  const first = own.reloader.reload();
  const hanging = await own.apply(1);
  const second = own.reloader.reload();
  const third = own.reloader.reload();
  expect(third).toBe(second);
  await own.write(toText("last"));
  expect(own.applies.length).toBe(1);
  hanging.end(["one"]);
  expect(await first).toMatchObject({ kind: "applied", changes: ["one"] });
  const next = await own.apply(2);
  expect(next.url).toBe("/last");
  next.end([]);
  expect(await second).toMatchObject({ kind: "applied", changes: [] });
  expect(own.applies.length).toBe(2);
});

test("a file at fault is refused before anything is applied, and the next one that is sound is taken", async () => {
  const own = await setUp();
  await own.write("{");
  expect(await own.reloader.reload()).toMatchObject({ kind: "refused" });
  expect([own.applies.length, own.reloader.refused() === null]).toEqual([0, false]);
  await own.write(toText("mended"));
  const reloading = own.reloader.reload();
  (await own.apply(1)).end([]);
  await reloading;
  expect(own.reloader.refused()).toBeNull();
  expect(own.logger.lines.map(({ level }) => level)).toEqual(["error", "info"]);
});

test("a config that the relay refuses is told, and the next one is not held up", async () => {
  const own = await setUp();
  const first = own.reloader.reload();
  (await own.apply(1)).fail(new RelayError("config-invalid", "Cannot change nats.servers"));
  expect(await first).toEqual({ kind: "refused", report: "Cannot change nats.servers" });
  const second = own.reloader.reload();
  (await own.apply(2)).end([]);
  expect(await second).toMatchObject({ kind: "applied" });
});

test("a bug in one reload rejects that one, and the next one runs", async () => {
  const own = await setUp();
  const first = own.reloader.reload();
  (await own.apply(1)).fail(new TypeError("a bug"));
  expect(first).rejects.toThrow("a bug");
  const second = own.reloader.reload();
  (await own.apply(2)).end([]);
  expect(await second).toMatchObject({ kind: "applied" });
});

test("a reload that waits for its turn when the relay stops applies nothing", async () => {
  const own = await setUp();
  const first = own.reloader.reload();
  const hanging = await own.apply(1);
  const second = own.reloader.reload();
  own.stopping.abort();
  hanging.end([]);
  await first;
  expect(await second).toMatchObject({ kind: "refused" });
  expect(own.applies.length).toBe(1);
});

test("listFixedChanges() names what cannot change while the relay runs, and nothing else", async () => {
  const load = async (more: Record<string, unknown>) => {
    const path = join(directory, "fixed.config.json");
    await writeFile(path, toText("same", more));
    return loadConfig(path, { env: {}, signal: new AbortController().signal });
  };
  const before = await load({});
  const after = await load({
    nats: { servers: ["nats://127.0.0.1:1"] },
    state: { bucket: "other" },
    logs: { level: "debug" },
  });
  expect(listFixedChanges(before, await load({ logs: { level: "debug" } }))).toEqual([]);
  expect(listFixedChanges(before, after)).toEqual(["nats.servers", "state.bucket"]);
});
