// Other users of the host: a state directory that they could have prepared is refused, and check names secrets they may read.

import { expect, test } from "bun:test";
import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";

const NOBODY = "nats://127.0.0.1:9";
const CONFIG = testConfig({ natsUrl: NOBODY, callbackUrl: "http://127.0.0.1:9/" });
const ENV = { PATH: process.env["PATH"] ?? "" };

test.each<[string, string, (path: string) => Promise<unknown>]>([
  ["others may write to it", "may be written by others (mode 0777)", (path) => chmod(path, 0o777)],
  [
    "a file in it is a link",
    "delivery-log.db is a symbolic link",
    (path) => symlink(join(path, "../precious"), join(path, "delivery-log.db")),
  ],
  [
    "its journals are elsewhere",
    "journal is a symbolic link",
    (path) => symlink("/tmp", join(path, "journal")),
  ],
])("relay run refuses a state directory: %s", async (_, reason, spoil) => {
  await using home = await temporaryDirectory();
  const state = join(home.path, ".relay");
  const config = join(home.path, "relay.config.json");
  await mkdir(state, { mode: 0o700 });
  await writeFile(join(home.path, "precious"), "precious");
  await writeFile(config, JSON.stringify(CONFIG));
  await spoil(state);
  const { exitCode, stderr } = await runRelay(["run", "--config", config], { cwd: home.path, env: ENV });
  expect([exitCode, stderr]).toEqual([78, expect.stringContaining(reason)]);
  expect(stderr).toContain("Cannot use state.directory");
  expect(await readFile(join(home.path, "precious"), "utf8")).toBe("precious");
});

test("relay run takes a state directory by a link, and one that it made itself", async () => {
  await using home = await temporaryDirectory();
  await mkdir(join(home.path, "private"), { mode: 0o700 });
  await symlink("private", join(home.path, "state"));
  const config = { ...CONFIG, state: { directory: "state" } };
  for (let start = 0; start < 2; start += 1) {
    await using relay = await startRelay({ config, directory: home.path });
    await relay.logged("Relay runs");
  }
});

const SECRET = { nats: { servers: [NOBODY], auth: { type: "token", value: "a-secret" } } };
const REFERENCE = { nats: { servers: [NOBODY], auth: { type: "token", value: { env: "TOKEN" } } } };

test.each([
  ["secrets that everybody may read", SECRET, 0o644, "everybody on this host may read it"],
  ["secrets that its owner may read", SECRET, 0o600, null],
  ["secrets that its owner and our group may read", SECRET, 0o640, null],
  ["references that everybody may read", REFERENCE, 0o644, null],
])("relay check looks at who may read the file: %s", async (_, nats, mode, warning) => {
  await using home = await temporaryDirectory();
  const path = join(home.path, "relay.config.json");
  await writeFile(path, JSON.stringify({ ...CONFIG, ...nats }));
  await chmod(path, mode);
  const { exitCode, stdout } = await runRelay(["check", "--config", path], { env: { ...ENV, TOKEN: "a" } });
  expect(exitCode).toBe(0);
  if (warning === null) expect(stdout).not.toContain("may read it");
  else expect(stdout).toContain(`warning: the file holds secrets, and ${warning}`);
});

test.skipIf(process.geteuid?.() !== 0)(
  "relay check names a group of others that may read secrets",
  async () => {
    await using home = await temporaryDirectory();
    const path = join(home.path, "relay.config.json");
    await writeFile(path, JSON.stringify({ ...CONFIG, ...SECRET }), { mode: 0o640 });
    await Bun.$`chgrp 12345 ${path}`;
    const { stdout } = await runRelay(["check", "--config", path], { env: ENV });
    expect(stdout).toContain("the file holds secrets, and the group 12345 may read it");
  },
);
