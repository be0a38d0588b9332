// The delivery log on a slow disk: nobody waits for its syncs, and whatever a power failure leaves of it is a whole file.

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { type SyncFile, syncFile } from "#delivery-log/checkpoint.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { newest, openTestLog, type TestLog, toRecord, valueOf } from "./records.ts";

const WRITES_BYTES = 4 * 1024 * 1024;
/** One batch holds 256 KB of bodies. */
const BATCH_BYTES = 512 * 1024;
/** Its log of writes is long after three or four bodies. */
const SMALL = { maxAgeMs: 86_400_000, maxBytes: 1_048_576 };

function appendBodies({ log }: TestLog, count: number): void {
  const body = Buffer.alloc(40_000, "a");
  for (let index = 0; index < count; index += 1)
    log.append(toRecord({ status: 200 + index, request: { headers: null, body, isCut: false } }));
}

/** A disk whose syncs last until it is let go on. */
function hangingDisk(): {
  readonly sync: SyncFile;
  readonly waiting: () => number;
  hang: () => void;
  go: () => void;
} {
  let gate = Promise.withResolvers<void>();
  let waiting = 0;
  gate.resolve();
  return {
    async sync() {
      waiting += 1;
      await gate.promise;
      waiting -= 1;
    },
    waiting: () => waiting,
    hang() {
      gate = Promise.withResolvers();
    },
    go: () => gate.resolve(),
  };
}

test("openDeliveryLog() with a sync that hangs queues records, serves reads, and writes once it ends", async () => {
  const disk = hangingDisk();
  await using own = await openTestLog({ sync: disk.sync });
  own.log.append(toRecord());
  await eventually(() => own.log.stats().written === 1);
  disk.hang();
  appendBodies(own, 300);
  await eventually(() => disk.waiting() === 1);
  const { written } = own.log.stats();
  expect(written).toBeLessThan(200);
  for (let index = 0; index < 10_005; index += 1) own.log.append(toRecord());
  await setImmediate();
  expect(own.log.stats()).toMatchObject({ written, faults: 0 });
  const taken = 301 + 10_005 - own.log.stats().dropped;
  expect(taken - written).toBeWithin(1000, 10_001);
  expect(newest(own.log, 1).records).toHaveLength(1);
  expect(statSync(`${own.path}-wal`).size).toBeLessThan(WRITES_BYTES + BATCH_BYTES);
  disk.go();
  await eventually(() => own.log.stats().written === taken);
  expect(statSync(`${own.path}-wal`).size).toBeLessThan(WRITES_BYTES + BATCH_BYTES);
});

test("close() does not wait for a sync that hangs, and writes the queue", async () => {
  const disk = hangingDisk();
  await using own = await openTestLog({ sync: disk.sync });
  disk.hang();
  own.log.append(toRecord());
  await eventually(() => disk.waiting() === 1);
  own.log.close();
  disk.go();
  await using after = await openTestLog({ path: own.path });
  expect(newest(after.log).records).toHaveLength(1);
});

test("openDeliveryLog() counts a failed sync as a fault, and writes the queue nevertheless", async () => {
  let isBroken = true;
  const sync = () => (isBroken ? Promise.reject(new Error("EIO: i/o error, fsync")) : Promise.resolve());
  await using own = await openTestLog({ sync });
  own.log.append(toRecord());
  await eventually(() => own.log.stats().fault === "EIO: i/o error, fsync");
  expect(own.log.stats().written).toBe(0);
  isBroken = false;
  await eventually(() => own.log.stats().written === 1);
  expect(own.log.stats()).toMatchObject({ dropped: 0, fault: null });
});

test("openDeliveryLog() has all written records after kills at any moment", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  let before = 0;
  for (let round = 1; round <= 6; round += 1) {
    await writeUntilKilled(path, { batches: 2 * round });
    expect(examine(path)).toBe("ok");
    await using own = await openTestLog({ path });
    const newestId = valueOf(own.log.newestId());
    expect(newestId).toBeGreaterThan(before);
    before = newestId;
  }
});

async function writeUntilKilled(path: string, { batches }: { batches: number }): Promise<void> {
  const main = new URL("endless-main.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, main, path], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  try {
    let dots = 0;
    for await (const chunk of child.stdout) {
      dots += chunk.length;
      if (dots >= batches) break;
    }
    expect(dots).toBeGreaterThanOrEqual(batches);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}

test("openCheckpoints() leaves a whole file after a power failure at any step", async () => {
  const pages = createPowerFailures();
  await using own = await openTestLog({ sync: pages.sync, bounds: SMALL });
  for (let round = 1; round <= 4; round += 1) {
    appendBodies(own, 8);
    await eventually(() => own.log.stats().written === round * 8);
  }
  expect(pages.syncs()).toBeGreaterThan(8);
  expect(pages.found()).toEqual(new Set(["ok"]));
});

/**
 * At each sync the disk may have all, nothing or any part of what was written to either file since its last one;
 * it makes a file shorter at once or not at all.
 */
function createPowerFailures(): {
  readonly sync: SyncFile;
  readonly syncs: () => number;
  readonly found: () => Set<string>;
} {
  const synced = new Map<string, Buffer>();
  const found = new Set<string>();
  let syncs = 0;

  async function sync(descriptor: number): Promise<void> {
    const path = readlinkSync(`/proc/self/fd/${descriptor}`);
    const file = path.replace(/-wal$/u, "");
    syncs += 1;
    tryAll(file);
    await syncFile(descriptor);
    synced.set(path, readFileSync(path));
  }

  function tryAll(file: string): void {
    const copy = `${file}.copy`;
    for (const ofFile of remains(file)) {
      for (const ofWrites of remains(`${file}-wal`)) {
        rmSync(`${copy}-shm`, { force: true });
        writeFileSync(copy, ofFile);
        writeFileSync(`${copy}-wal`, ofWrites);
        found.add(examine(copy));
      }
    }
  }

  function remains(path: string): readonly Buffer[] {
    const now = readFileSync(path);
    const before = synced.get(path) ?? now;
    synced.set(path, before);
    if (before.equals(now)) return [now];
    if (now.length === 0) return [before, now];
    const half = Math.floor(before.length / 2);
    const halves = Buffer.concat([before.subarray(0, half), now.subarray(half)]);
    return [before, now, halves, mix(before, now), mix(now, before)];
  }

  return { sync, syncs: () => syncs, found: () => found };
}

/** Every other page of each. */
function mix(even: Buffer, odd: Buffer): Buffer {
  const mixed = Buffer.from(odd);
  for (let at = 0; at < Math.min(even.length, odd.length); at += 8192) even.copy(mixed, at, at, at + 4096);
  return mixed;
}

function examine(path: string): string {
  using database = new Database(path);
  try {
    database.run("PRAGMA synchronous = OFF");
    return String(
      database.query<{ integrity_check: string }, []>("PRAGMA integrity_check").get()?.integrity_check,
    );
  } catch (error) {
    return String(error);
  }
}
