// Where the process cannot replace itself by one with a small heap it runs on, with the heap that it has. And the binary for
// arm64, which most edge hosts need: in an emulator, which is one of these places.

import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { testConfig } from "./support/config.ts";
import { eventually } from "./support/eventually.ts";
import { startNatsServer } from "./support/nats-server.ts";
import { addStream } from "./support/nats.ts";
import { startReceiver } from "./support/receiver.ts";
import { type RelayOptions, startRelay, temporaryDirectory } from "./support/relay.ts";

const FILTERED = ["bun", new URL("support/refuse-execve.ts", import.meta.url).pathname];
// The descriptor is of a mount that executes; the path that the process knows itself by leads to one that does not.
const WITHOUT_EXECUTION = `exec 3<"$1" && mount --bind "$1" "$1" && mount -o remount,bind,noexec "$1" && shift &&
  exec /proc/self/fd/3 "$@"`;
const MOUNTED = ["unshare", "--mount", "sh", "-c", WITHOUT_EXECUTION, "sh"];
const LOADER = process.arch === "arm64" ? "/lib/ld-linux-aarch64.so.1" : "/lib64/ld-linux-x86-64.so.2";
const EMULATOR = "qemu-aarch64-static";
const ARM_LIBRARIES = "/usr/aarch64-linux-gnu";

/** Delivers a message; returns why its heap is not small, which it says once. */
async function deliver(options: Omit<RelayOptions, "config">): Promise<string> {
  await using nats = await startNatsServer();
  await using receiver = await startReceiver();
  const client = await nats.connect();
  await addStream(client);
  await using relay = await startRelay({
    ...options,
    config: testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href }),
  });
  await jetstream(client).publish("orders.a", "one");
  await eventually(() => receiver.requests.length === 1, { what: "the message", withinMs: 20_000 });
  const said = relay.logs.filter(({ message }) => message.startsWith("Relay runs with a larger heap"));
  expect(said.map(({ level }) => level)).toEqual(["debug"]);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  expect([relay.stderr(), ...relay.output]).toEqual([""]);
  return String(said[0]?.["reason"]);
}

test("run delivers where a filter of system calls refuses to replace the process", async () => {
  expect(await deliver({ wrapper: FILTERED })).toContain("EPERM");
});

test("run delivers where the loader was called by name, which makes it the executable", async () => {
  expect(await deliver({ wrapper: [LOADER] })).toContain("loader");
});

const isRoot = process.getuid?.() === 0;
test.skipIf(!isRoot)(
  `run delivers from a mount without execution${isRoot ? "" : " (skipped: mounts need root)"}`,
  async () => {
    expect(await deliver({ wrapper: MOUNTED })).toContain("EACCES");
  },
);

const missing = [
  ...(Bun.which(EMULATOR) === null ? ["qemu-user-static"] : []),
  ...(existsSync(ARM_LIBRARIES) ? [] : ["libc6-arm64-cross"]),
];
const why = missing.length === 0 ? "" : ` (skipped: not installed: ${missing.join(", ")})`;

describe.skipIf(missing.length > 0)(`the binary for arm64${why}`, () => {
  const stack = new AsyncDisposableStack();
  let binary: string;

  beforeAll(async () => {
    const { path } = stack.use(await temporaryDirectory());
    const root = new URL("..", import.meta.url).pathname;
    const built = Bun.spawnSync(["bun", "build.ts", "--outdir", path, "linux-arm64"], { cwd: root });
    expect({ exitCode: built.exitCode, stderr: built.stderr.toString() }).toMatchObject({ exitCode: 0 });
    binary = join(path, "linux-arm64/relay");
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  test("it delivers in an emulator", async () => {
    expect(await deliver({ wrapper: [EMULATOR, "-L", ARM_LIBRARIES], binary })).toContain("ENOEXEC");
  }, 40_000);
});
