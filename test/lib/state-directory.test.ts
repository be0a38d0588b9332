// What others may write, or have made, is refused as a place for state; what systemd and root make is not.

import { expect, test } from "bun:test";
import { chmod, chown, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { findStateFault } from "#lib/state-directory.ts";
import { temporaryDirectory } from "../support/relay.ts";

const STRANGER = 12_345;

async function lab() {
  const { path, [Symbol.asyncDispose]: dispose } = await temporaryDirectory();
  const state = join(path, "state");
  await mkdir(join(state, "journal"), { recursive: true, mode: 0o700 });
  await writeFile(join(state, "journal", "a"), "", { mode: 0o600 });
  await writeFile(join(state, "delivery-log.db"), "", { mode: 0o600 });
  return { path, state, [Symbol.asyncDispose]: dispose };
}

test("findStateFault() accepts a missing directory, and an own one", async () => {
  await using own = await lab();
  expect(findStateFault(join(own.path, "missing"))).toBeNull();
  expect(findStateFault(own.state)).toBeNull();
  await chmod(own.state, 0o755);
  expect(findStateFault(own.state)).toBeNull();
});

test.each([
  ["", 0o777],
  ["", 0o770],
  ["", 0o1777],
  ["journal", 0o702],
  ["journal/a", 0o666],
  ["delivery-log.db", 0o620],
])("findStateFault() refuses %p of the mode %i", async (name, mode) => {
  await using own = await lab();
  await chmod(join(own.state, name), mode);
  expect(findStateFault(own.state)).toContain("may be written by others");
});

test.each(["journal", "journal/b", "journal/a.new", "delivery-log.db-wal", "relay.sock"])(
  "findStateFault() refuses a symbolic link in its place: %s",
  async (name) => {
    await using own = await lab();
    if (name === "journal") await Bun.$`rm -r ${join(own.state, name)}`;
    await symlink(join(own.path, "target"), join(own.state, name));
    expect(findStateFault(own.state)).toBe(`${join(own.state, name)} is a symbolic link: remove it`);
  },
);

const isRoot = process.geteuid?.() === 0;

test.skipIf(!isRoot).each(["", "journal", "journal/a", "delivery-log.db"])(
  "findStateFault() refuses what belongs to another user: %p",
  async (name) => {
    await using own = await lab();
    await chown(join(own.state, name), STRANGER, STRANGER);
    expect(findStateFault(own.state)).toContain(`belongs to the user ${STRANGER}`);
  },
);

test("findStateFault() follows a link to the directory, as systemd makes one, unless another user made it", async () => {
  await using own = await lab();
  const link = join(own.path, "link");
  await symlink(own.state, link);
  expect(findStateFault(link)).toBeNull();
  await chmod(own.state, 0o777);
  expect(findStateFault(link)).toContain("may be written by others");
  await chmod(own.state, 0o700);
  if (!isRoot) return;
  await Bun.$`chown -h ${STRANGER} ${link}`;
  expect(findStateFault(link)).toContain(`${link} belongs to the user ${STRANGER}`);
});
