// What a guard still knows after a restart, a crash, or on a disk that fails.

import { mkdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

import { afterAll, describe, expect, jest, spyOn, test } from "bun:test";

import { eventually } from "../support/eventually.ts";
import { runReady, turnClock } from "../support/scripted-parts.ts";
import { CONSUMER, isDoneFor, message, open, openAligned, START_NANOS } from "./guards.ts";
import { openPaths } from "./journals.ts";

const paths = await openPaths();

afterAll(() => paths[Symbol.asyncDispose]());

describe("openGuard()", () => {
  test("tells after a close what it told before", async () => {
    const path = paths.next();
    const first = await open(path);
    await first.align({ ...CONSUMER, ackFloor: 1 });
    for (const sequence of [2, 3, 5]) first.markDone(message(sequence));
    await first.advance(3);
    first.markDone(message(9));
    await first.close();
    await using guard = await open(path);
    expect(guard.position()).toMatchObject({ streamCreated: CONSUMER.streamCreated, sequence: 3 });
    expect(isDoneFor(guard, [1, 2, 3, 4, 5, 9])).toEqual([false, true, true, false, true, true]);
    expect(guard.isDone(message(9, START_NANOS))).toBe(false);
    expect(guard.size).toBe(2);
  });

  test("leaves its file alone once it is closed", async () => {
    const path = paths.next();
    const lines: string[] = [];
    const guard = await open(path, lines);
    await guard.align(CONSUMER);
    guard.markDone(message(5));
    await guard.close();
    const { ino, size } = await stat(path);
    await guard.advance(5);
    guard.markDone(message(6));
    expect(await stat(path)).toMatchObject({ ino, size });
    expect(guard.markDoneDurably(message(7))).rejects.toThrow("closed");
    expect(lines).toEqual([]);
  });

  test("writes what was marked within a quarter of a second, unasked", async () => {
    const path = paths.next();
    await using guard = await open(path);
    await guard.align(CONSUMER);
    const { size } = await stat(path);
    guard.markDone(message(5));
    expect((await stat(path)).size).toBe(size);
    await eventually(async () => (await stat(path)).size > size, { withinMs: 2000 });
  });

  test("writes at once if it is prompt, and in one go what follows within 1 ms", async () => {
    const path = paths.next();
    const readLines = async () =>
      (await readFile(path, "latin1")).split("\n").map((line) => line.split(" ")[0]);
    await using guard = await open(path, [], { isPrompt: true });
    await guard.align(CONSUMER);
    jest.useFakeTimers();
    const clock = spyOn(performance, "now").mockReturnValue(performance.now());
    try {
      for (const sequence of [5, 6, 7, 8]) {
        guard.markDone(message(sequence));
        await runReady();
      }
      expect((await readLines()).slice(-2)).toEqual(["5", ""]);
      await turnClock(1);
    } finally {
      clock.mockRestore();
      jest.useRealTimers();
    }
    expect((await readLines()).slice(-4)).toEqual(["6", "7", "8", ""]);
  });

  test("has in the file what it marked durably, before it resolves", async () => {
    const path = paths.next();
    await using guard = await open(path);
    await guard.align(CONSUMER);
    for (const sequence of [5, 6]) {
      await guard.markDoneDurably(message(sequence));
      expect(await readFile(path, "latin1")).toContain(`\n${sequence} ${START_NANOS + BigInt(sequence)} `);
    }
  });

  test("knows nothing of a file that a crash cut to nothing", async () => {
    const path = paths.next();
    await (await open(path)).close();
    await truncate(path, 0);
    await using guard = await open(path);
    expect(guard.position()).toBeNull();
    await guard.align({ ...CONSUMER, ackFloor: 4 });
    expect(guard.position()?.sequence).toBe(4);
  });

  test("holds 65,536 entries at most, and drops the oldest", async () => {
    const path = paths.next();
    const first = await open(path);
    await first.align({ ...CONSUMER, lastSequence: 100_000 });
    for (let sequence = 1; sequence <= 65_536; sequence += 1) first.markDone(message(sequence));
    expect(first.size).toBe(65_536);
    first.markDone(message(65_537));
    await first.close();
    await using second = await open(path);
    for (const guard of [first, second]) {
      expect(guard.size).toBe(65_537 - 4096);
      expect(isDoneFor(guard, [4096, 4097, 65_537])).toEqual([false, true, true]);
    }
  });

  test("keeps its file bounded while the floor stands still", async () => {
    const path = paths.next();
    await using guard = await open(path);
    await guard.align(CONSUMER);
    for (let sequence = 1; sequence <= 200_001; sequence += 1) guard.markDone(message(sequence));
    const lines = async () => (await readFile(path, "latin1")).split("\n").length;
    await eventually(async () => (await lines()) <= 2 * 65_536 + 1024 + 2);
    expect(guard.isDone(message(200_001))).toBe(true);
  });
});

describe("the file", () => {
  test("is not written by an alignment that changes nothing", async () => {
    const path = paths.next();
    const first = await openAligned(path, { ackFloor: 7 });
    first.markDone(message(9));
    await first.close();
    const before = await stat(path);
    const second = await open(path);
    await second.align({ ...CONSUMER, ackFloor: 7, consumerCreated: "2024-05-06T07:08:10.5002Z" });
    await second.advance(7);
    await second.close();
    expect(await stat(path)).toMatchObject({ ino: before.ino, size: before.size, mtimeMs: before.mtimeMs });
  });

  test("gets a line for a floor, and is not replaced for it", async () => {
    const path = paths.next();
    const first = await openAligned(path);
    for (const sequence of [2, 3, 5]) first.markDone(message(sequence));
    const { ino } = await stat(path);
    await first.advance(3);
    await first.close();
    expect((await stat(path)).ino).toBe(ino);
    await using second = await open(path);
    expect(second.position()?.sequence).toBe(3);
    expect(second.size).toBe(1);
    expect(isDoneFor(second, [2, 3, 5])).toEqual([true, true, true]);
  });

  test("is replaced where it has outgrown what counts, and knows the same", async () => {
    const path = paths.next();
    const first = await openAligned(path, { lastSequence: 1e6 });
    for (let sequence = 1; sequence <= 5000; sequence += 1) first.markDone(message(sequence));
    await first.advance(4900);
    first.markDone(message(5001));
    await first.advance(5000);
    await first.close();
    expect((await readFile(path, "latin1")).split("\n").length).toBeLessThan(1000);
    await using second = await open(path);
    expect(isDoneFor(second, [4950, 5000, 5001])).toEqual([true, true, true]);
  });
});

describe("a disk that fails", () => {
  /** A directory in the place of the file that a rewrite makes first. */
  async function breakDisk(path: string): Promise<{ repair: () => Promise<void> }> {
    await mkdir(`${path}.new`);
    return { repair: () => rm(`${path}.new`, { recursive: true }) };
  }

  test("is said once, does not reject, and costs nothing once it works again", async () => {
    const path = paths.next();
    const lines: string[] = [];
    await using guard = await open(path, lines);
    const disk = await breakDisk(path);
    await guard.align(CONSUMER);
    guard.markDone(message(1));
    await guard.advance(1);
    guard.markDone(message(3));
    await guard.align({ ...CONSUMER, ackFloor: 1, change: "recreated" });
    expect(guard.isDone(message(3))).toBe(true);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "warn", path });
    await disk.repair();
    await eventually(async () => (await readFile(path, "latin1")).includes(`\n3 ${START_NANOS + 3n} `));
    // It is there before its directory is synced, and said after that.
    await eventually(() => lines.length === 2);
    expect(JSON.parse(lines[1] ?? "")).toMatchObject({ level: "info", path });
    await using copy = await open(path);
    expect(copy.position()?.sequence).toBe(1);
    expect(copy.isDone(message(3))).toBe(true);
  });

  test("at the start leaves a guard in memory, which is written once it works", async () => {
    const path = paths.next();
    const parent = dirname(path);
    await writeFile(parent, "a file in the place of the directory");
    const lines: string[] = [];
    const guard = await open(path, lines);
    await guard.align(CONSUMER);
    guard.markDone(message(3));
    expect(isDoneFor(guard, [2, 3])).toEqual([false, true]);
    expect(lines).toHaveLength(1);
    await rm(parent);
    await eventually(() => stat(path));
    guard.markDone(message(4));
    await guard.close();
    expect(lines).toHaveLength(2);
    await using copy = await open(path);
    expect(isDoneFor(copy, [2, 3, 4])).toEqual([false, true, true]);
  });

  test("at the start refuses a guard that needs its file, with the reason", async () => {
    const path = paths.next();
    await writeFile(dirname(path), "a file in the place of the directory");
    expect(open(path, [], { needsFile: true })).rejects.toThrow(/EEXIST|ENOTDIR/);
    await rm(dirname(path));
    await using guard = await open(path, [], { needsFile: true });
    expect(guard.position()).toBeNull();
  });

  test("that is read-only leaves what the file tells", async () => {
    const path = paths.next();
    const first = await openAligned(path);
    first.markDone(message(3));
    await first.close();
    const script = `
      import { openGuard } from "#pipeline/guard.ts";
      const quiet = () => undefined;
      const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, isEnabled: () => false };
      const path = process.env.JOURNAL;
      const strict = await openGuard(path, { isPrompt: false, needsFile: true, logger }).catch(({ code }) => code);
      const guard = await openGuard(path, { isPrompt: false, needsFile: false, logger });
      const isDone = guard.isDone({ sequence: 3, timestampNanos: ${START_NANOS + 3n}n });
      await Bun.write(Bun.stdout, JSON.stringify({ strict, isDone }));
      process.exit(0);
    `;
    const mount = `mount --bind "$2" "$2" && mount -o remount,bind,ro "$2" && exec "$0" -e "$1"`;
    const child = Bun.spawn(["unshare", "-m", "sh", "-c", mount, process.execPath, script, dirname(path)], {
      cwd: new URL("../..", import.meta.url).pathname,
      env: { ...process.env, JOURNAL: path },
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(await new Response(child.stdout).json()).toEqual({ strict: "EROFS", isDone: true });
  });

  test("is made up for once it works again, unasked", async () => {
    const path = paths.next();
    await using guard = await open(path);
    const disk = await breakDisk(path);
    await guard.align({ ...CONSUMER, ackFloor: 4 });
    await disk.repair();
    await eventually(async () => (await readFile(path, "latin1")).includes('"place":4'));
  });

  test("is made up for by a close", async () => {
    const path = paths.next();
    const guard = await open(path);
    const disk = await breakDisk(path);
    await guard.align(CONSUMER);
    guard.markDone(message(3));
    await disk.repair();
    await guard.close();
    await using copy = await open(path);
    expect(isDoneFor(copy, [3])).toEqual([true]);
  });

  test("never lets markDoneDurably() promise what a restart would not know", async () => {
    const path = paths.next();
    await using guard = await open(path);
    const disk = await breakDisk(path);
    await guard.align(CONSUMER);
    expect(guard.markDoneDurably(message(5))).rejects.toThrow("EISDIR");
    expect(guard.isDone(message(5))).toBe(true);
    await disk.repair();
    await guard.markDoneDurably(message(6));
    await using copy = await open(path);
    expect(isDoneFor(copy, [5, 6])).toEqual([true, true]);
  });
});

test("kill -9 takes nothing that was marked durably", async () => {
  const path = paths.next();
  const script = `
    import { openGuard } from "#pipeline/guard.ts";
    const quiet = () => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet, isEnabled: () => false };
    const guard = await openGuard(process.env.JOURNAL, { isPrompt: false, needsFile: true, logger });
    await guard.align(JSON.parse(process.env.CONSUMER));
    for (let sequence = 1; ; sequence += 1) {
      await guard.markDoneDurably({ sequence, timestampNanos: ${START_NANOS}n + BigInt(sequence) });
      process.stdout.write(sequence + "\\n");
      if (sequence % 50 === 0) await guard.advance(sequence - 20);
    }
  `;
  await using child = Bun.spawn([process.execPath, "-e", script], {
    cwd: new URL("../..", import.meta.url).pathname,
    env: { ...process.env, JOURNAL: path, CONSUMER: JSON.stringify({ ...CONSUMER, lastSequence: 1e9 }) },
    stdout: "pipe",
    stderr: "inherit",
  });
  let output = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    output += chunk;
    if (output.split("\n").length > 300) child.kill("SIGKILL");
  }
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  const marked = output.split("\n").slice(0, -1).map(Number);
  await using guard = await open(path);
  expect(marked.length).toBeGreaterThanOrEqual(300);
  const floor = guard.position()?.sequence ?? 0;
  expect(floor).toBeGreaterThanOrEqual(Math.floor(marked.length / 50) * 50 - 70);
  expect(marked.filter((sequence) => sequence > floor && !guard.isDone(message(sequence)))).toEqual([]);
  expect(guard.isDone(message(marked.length + 2))).toBe(false);
});
