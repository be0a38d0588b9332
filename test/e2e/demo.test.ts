// `relay demo`, as a stranger types it.

import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { eventually } from "../support/eventually.ts";
import { BINARY, runRelay, temporaryDirectory } from "../support/relay.ts";

test("it shows deliveries, retries, an interruption and a dead letter, then ends and leaves nothing behind", async () => {
  await using directory = await temporaryDirectory();
  const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
  const { exitCode, stdout } = await runRelay(["demo", "--count", "12"], { env });
  expect(stdout).toContain("delivered");
  expect(stdout).toMatch(/503 in \d+ ms, retry in 1\.\d s/);
  expect(stdout).toContain("delivered by attempt 2");
  expect(stdout).toContain("interrupted");
  expect(stdout).toContain("dead letter stored");
  expect(stdout).toMatch(/11 delivered, 2 retries, 1 dead letter, 1 interruption, 0 lost/);
  expect(exitCode).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);
});

test("Ctrl-C ends it, with its nats-server and its directory", async () => {
  await using directory = await temporaryDirectory();
  const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
  const child = Bun.spawn([BINARY, "demo"], { env, stdout: "pipe", stderr: "inherit" });
  await eventually(async () => (await readdir(directory.path)).length > 0);
  const natsPid = await eventually(async () => (await childrenOf(child.pid))[0]);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);
  expect(() => process.kill(natsPid, 0)).toThrow();
});

test("Ctrl-C on its terminal, from where all of its process group hears it, is no fault while it starts", async () => {
  await using directory = await temporaryDirectory();
  const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
  const child = Bun.spawn([BINARY, "demo"], { env, stdout: "ignore", stderr: "inherit", detached: true });
  const natsPid = await eventually(async () => (await childrenOf(child.pid))[0]);
  await eventually(async () => (await Bun.file(`/proc/${natsPid}/cmdline`).text()).includes("nats-server"));
  process.kill(-child.pid, "SIGINT");
  expect(await child.exited).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);
});

test.each([[["demo", "--count", "2"]], [["demo"]]])(
  "%p: it ends when nobody reads it any more, as behind head, and leaves nothing behind",
  async (args) => {
    await using stack = new AsyncDisposableStack();
    const directory = stack.use(await temporaryDirectory());
    const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
    const child = Bun.spawn([BINARY, ...args], { env, stdout: "pipe", stderr: "pipe" });
    stack.defer(() => end(child));
    const reader = child.stdout.getReader();
    await reader.read();
    const natsPid = (await childrenOf(child.pid))[0] ?? 0;
    await reader.cancel();
    await eventually(() => child.exitCode !== null);
    expect([child.exitCode, await child.stderr.text()]).toEqual([0, ""]);
    expect(await readdir(directory.path)).toEqual([]);
    expect(() => process.kill(natsPid, 0)).toThrow("ESRCH");
  },
);

test("it ends with its terminal, and leaves nothing behind", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
  let screen = "";
  const child = Bun.spawn([BINARY, "demo"], {
    env,
    terminal: { data: (_terminal, data) => (screen += new TextDecoder().decode(data)) },
  });
  stack.defer(() => end(child));
  await eventually(() => screen.includes("delivered"));
  child.terminal?.close();
  await eventually(() => child.exitCode !== null);
  expect(child.exitCode).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);
});

test("a hangup ends it, and a SIGTERM after that does not cut the end short", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const env = { PATH: process.env["PATH"] ?? "", TMPDIR: directory.path };
  const child = Bun.spawn([BINARY, "demo"], { env, stdout: "pipe", stderr: "inherit" });
  stack.defer(() => end(child));
  const signals = [
    ["delivered", "SIGHUP"],
    [" lost", "SIGTERM"],
  ] as const;
  let output = "";
  let sent = 0;
  for await (const chunk of child.stdout) {
    output += new TextDecoder().decode(chunk);
    const [word, signal] = signals[sent] ?? [];
    if (word === undefined || !output.includes(word)) continue;
    child.kill(signal);
    sent += 1;
  }
  expect(sent).toBe(2);
  await eventually(() => child.exitCode !== null);
  expect(child.exitCode).toBe(0);
  expect(await readdir(directory.path)).toEqual([]);
});

test("without nats-server it says what to type", async () => {
  const { exitCode, stderr } = await runRelay(["demo"], { env: { PATH: "" } });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("sudo apt-get install nats-server");
});

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text();
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}

/** If the test has not: then with what it started. */
async function end(child: Bun.Subprocess): Promise<void> {
  if (child.exitCode !== null) return;
  for (const pid of [child.pid, ...(await childrenOf(child.pid))]) process.kill(pid, "SIGKILL");
  await child.exited;
}
