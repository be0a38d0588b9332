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

test("without nats-server it says what to type", async () => {
  const { exitCode, stderr } = await runRelay(["demo"], { env: { PATH: "" } });
  expect(exitCode).toBe(1);
  expect(stderr).toContain("sudo apt-get install nats-server");
});

async function childrenOf(pid: number): Promise<number[]> {
  const text = await Bun.file(`/proc/${pid}/task/${pid}/children`).text();
  return text.trim().split(/\s+/).filter(Boolean).map(Number);
}
