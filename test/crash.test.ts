// A bug ends the compiled binary, loudly: without its own handlers Bun would let it go on.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "./support/config.ts";
import { temporaryDirectory } from "./support/relay.ts";

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let binary: string;
let config: string;

beforeAll(async () => {
  directory = await temporaryDirectory();
  binary = join(directory.path, "relay");
  config = join(directory.path, "relay.config.json");
  const built = await Bun.build({
    entrypoints: [new URL("support/crashing-main.ts", import.meta.url).pathname],
    format: "esm",
    sourcemap: "inline",
    compile: { outfile: binary },
  });
  expect(built.success).toBe(true);
  const natsUrl = "nats://127.0.0.1:9";
  const server = { listen: "127.0.0.1:0" };
  await writeFile(
    config,
    JSON.stringify(testConfig({ natsUrl, callbackUrl: "http://127.0.0.1:9/", more: { server } })),
  );
});
afterAll(() => directory[Symbol.asyncDispose]());

test.each(["timer", "immediate", "rejection", "network"])(
  "an error in a %s ends it with 70 and names the source",
  async (place) => {
    const child = Bun.spawn([binary, "run", "--config", config], {
      env: { RELAY_CRASH: place },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
      timeout: 10_000,
    });
    const stderr = await new Response(child.stderr).text();
    expect(await child.exited).toBe(70);
    expect(stderr).toContain("has a bug, please report it:\nError: planted");
    expect(stderr).toContain("crashing-main.ts");
  },
);
