// The binary itself: what only it can show, not the sources.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { runRelay, temporaryDirectory } from "./support/relay.ts";

test("version prints the version and the commit that were built in", async () => {
  const { exitCode, stdout } = await runRelay(["version"]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(
    new RegExp(
      `^relay ${packageJson.version.replaceAll(".", "\\.")} \\([0-9a-f]{12}(-dirty)?\\)\n$|^relay .* \\(unknown\\)\n$`,
    ),
  );
});

test("it is not steered by what lies in the working directory", async () => {
  await using directory = await temporaryDirectory();
  const trap = join(directory.path, "trap.ts");
  await writeFile(trap, 'console.log("TRAPPED"); process.exit(3);');
  await writeFile(join(directory.path, "bunfig.toml"), `preload = ["${trap}"]\n`);
  await writeFile(join(directory.path, ".env"), "RELAY_TRAP=TRAPPED\n");
  await writeFile(
    join(directory.path, "relay.config.json"),
    JSON.stringify({
      endpoints: [{ name: "in", type: "jetstream", consumer: { stream: "IN" } }],
      entrypoints: [{ type: "webhook", configuration: { callbackUrl: { env: "RELAY_TRAP" } } }],
      subscriptions: [{ id: "a", configuration: { entrypointId: "webhook" } }],
    }),
  );
  const { exitCode, stdout, stderr } = await runRelay(["check"], { cwd: directory.path });
  expect(exitCode).toBe(78);
  expect(stdout + stderr).not.toContain("TRAPPED");
  expect(stderr).toContain("RELAY_TRAP");
});

test("it refuses code given by the environment", async () => {
  await using directory = await temporaryDirectory();
  const trap = join(directory.path, "trap.ts");
  await writeFile(trap, 'console.log("TRAPPED");');
  const env = { PATH: process.env["PATH"] ?? "", BUN_OPTIONS: `--preload ${trap}` };
  const { stdout } = await runRelay(["version"], { env });
  expect(stdout).not.toContain("TRAPPED");
});

test.each([
  [["--help"], 0],
  [["help", "run"], 0],
  [["run", "--help"], 0],
  [["no-such-command"], 2],
  [["run", "--no-such-option"], 2],
  [["demo", "--count", "many"], 2],
  [["check", "--config", "/nonexistent/relay.config.json"], 78],
])("relay %j exits with %i", async (args, expected) => {
  const { exitCode, stdout, stderr } = await runRelay(args);
  expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: expected });
  expect(expected === 0 ? stdout : stderr).not.toBe("");
});

test("the same sources give the same bytes", async () => {
  await using directory = await temporaryDirectory();
  const root = new URL("..", import.meta.url).pathname;
  const digests = [];
  for (const name of ["first", "second"]) {
    const outdir = join(directory.path, name);
    const built = Bun.spawnSync(["bun", "build.ts", "--outdir", outdir], { cwd: root });
    expect(built.exitCode).toBe(0);
    digests.push(Bun.hash(await Bun.file(join(outdir, "relay")).bytes()));
  }
  expect(digests[0]).toBe(digests[1] ?? 0n);
});
