// The log takes, writes and gives back records; it stays within its bounds, and survives a file that is none.

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { statSync } from "node:fs";
import { readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EVERY_RECORD } from "#delivery/record.ts";
import type { Slice } from "#delivery-log/read.ts";
import { openLogStore } from "#delivery-log/store.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { newest, openTestLog, toMessage, toRecord, valueOf } from "./records.ts";

test("append() stores the whole record", async () => {
  await using own = await openTestLog();
  const date = new Date("2026-01-02T03:04:05.678Z");
  const record = toRecord({
    date,
    status: 503,
    error: "Callback answered 503",
    deadLetterId: "billing.ORDERS.1-a",
    application: "shop",
    attempts: [
      { date, status: 0, durationMs: 3, error: "No answer" },
      { date: new Date(date.getTime() + 1000), status: 503, durationMs: 4.25, error: null },
    ],
    request: { headers: [["Content-Type", "text/plain"]], body: Buffer.from("häßlich"), isCut: false },
    response: { headers: null, body: new Uint8Array([0, 255, 1]), isCut: true },
  });
  own.log.append(record);
  await eventually(() => own.log.stats().written === 1);
  const [found] = newest(own.log).records;
  const { id = 0, ...rest } = found ?? {};
  expect(JSON.parse(JSON.stringify(rest))).toEqual(JSON.parse(JSON.stringify(toPlain(record))));
  expect(JSON.stringify(valueOf(own.log.find(id)))).toBe(JSON.stringify(found));
  expect(valueOf(own.log.find(id + 1))).toBeNull();
});

/** What comes back is a `Uint8Array`, whatever went in. */
function toPlain(record: ReturnType<typeof toRecord>): unknown {
  const plain = (capture: typeof record.request) =>
    capture === null || capture.body === null ? capture : { ...capture, body: new Uint8Array(capture.body) };
  return { ...record, request: plain(record.request), response: plain(record.response) };
}

test("readSlice() returns the newest first, and continues at its end", async () => {
  await using own = await openTestLog();
  for (let index = 0; index < 5000; index += 1) own.log.append(toRecord({ status: 200 + (index % 3) }));
  await eventually(() => own.log.stats().written === 5000);
  const first = newest(own.log, 10);
  expect(first.records.map(({ status }) => status).slice(0, 3)).toEqual([201, 200, 202]);
  const ids = first.records.map(({ id }) => id);
  expect(ids).toEqual(ids.toSorted((left, right) => right - left));
  expect(first.end).toBe(ids.at(-1) ?? null);
});

test("append() creates a removed file again, and loses no queued record", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  await using own = await openTestLog({ path });
  own.log.append(toRecord());
  await eventually(() => own.log.stats().written === 1);
  await Promise.all(["", "-wal", "-shm"].map((end) => rm(`${path}${end}`)));
  own.log.append(toRecord({ status: 204 }));
  await eventually(() => own.log.stats().written === 2);
  expect(own.log.stats()).toMatchObject({ faults: 1, dropped: 0, fault: null });
  expect(newest(own.log).records.map(({ status }) => status)).toEqual([204]);
  expect((await stat(path)).size).toBeGreaterThan(0);
});

test("close() writes the queue, and the next log continues with higher ids", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  await using before = await openTestLog({ path });
  before.log.append(toRecord());
  before.log.close();
  await using after = await openTestLog({ path });
  const [old] = newest(after.log).records;
  after.log.append(toRecord());
  await eventually(() => after.log.stats().written === 1);
  expect(newest(after.log).records.map(({ id }) => id > (old?.id ?? 0))).toEqual([true, false]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("openDeliveryLog() stays below maxBytes, WAL included, and keeps the newest records", async () => {
  const maxBytes = 1_048_576;
  await using own = await openTestLog({ bounds: { maxAgeMs: 86_400_000, maxBytes } });
  const body = Buffer.alloc(40_000, "a");
  let largest = 0;
  for (let round = 0; round < 8; round += 1) {
    for (let index = 0; index < 20; index += 1) {
      own.log.append(toRecord({ status: 200 + round, request: { headers: null, body, isCut: false } }));
      own.log.append(toRecord({ status: 200 + round }));
    }
    await eventually(() => own.log.stats().written === (round + 1) * 40);
    largest = Math.max(largest, await bytesOf(own.path));
  }
  expect(largest).toBeLessThan(maxBytes);
  expect(newest(own.log).records[0]?.status).toBe(207);
  expect(newest(own.log).records.length).toBeGreaterThan(4);
});

async function bytesOf(path: string): Promise<number> {
  const names = await readdir(dirname(path));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(dirname(path), name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

test("setBounds() to a lower limit shrinks the file", async () => {
  await using own = await openTestLog();
  const body = Buffer.alloc(40_000, "a");
  for (let index = 0; index < 300; index += 1) {
    own.log.append(toRecord({ request: { headers: null, body, isCut: false } }));
  }
  await eventually(() => own.log.stats().written === 300);
  own.log.close();
  await using small = await openTestLog({
    path: own.path,
    bounds: { maxAgeMs: 86_400_000, maxBytes: 4_194_304 },
  });
  await eventually(async () => (await bytesOf(small.path)) < 4_194_304);
});

test("openDeliveryLog() deletes records older than maxAgeMs", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  await using before = await openTestLog({ path });
  for (let index = 0; index < 1200; index += 1) before.log.append(toRecord());
  before.log.close();
  await using after = await openTestLog({ path, bounds: { maxAgeMs: 1, maxBytes: 268_435_456 } });
  await eventually(() => newest(after.log).records.length === 0);
});

test.each(["no database at all".repeat(400), "layout"])(
  "openDeliveryLog() moves a broken file aside: %.20s",
  async (what) => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "log.db");
    if (what === "layout") writeLayout(path, 77);
    else await writeFile(path, what);
    await using own = await openTestLog({ path });
    own.log.append(toRecord());
    await eventually(() => own.log.stats().written === 1);
    expect(own.log.stats()).toMatchObject({ dropped: 0, fault: null });
    expect(own.lines.join("\n")).toContain("Delivery log moved aside");
    expect(await readdir(directory.path)).toContain("log.db.broken");
    expect(newest(own.log).records).toHaveLength(1);
  },
);

function writeLayout(path: string, version: number): void {
  using database = new Database(path, { create: true });
  database.run(`PRAGMA user_version = ${version}`);
}

test("openDeliveryLog() queues records while the file cannot be opened, and drops only those above the limit", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  await writeFile(join(directory.path, "in the way"), "");
  await using own = await openTestLog({ path: join(directory.path, "in the way", "log.db") });
  for (let index = 0; index < 10_005; index += 1) own.log.append(toRecord());
  await eventually(() => own.log.stats().faults > 0);
  expect(own.log.stats()).toMatchObject({ written: 0, dropped: 5 });
  expect(own.log.stats().fault).not.toBeNull();
  expect(own.log.newestId().kind).toBe("unavailable");
  await Bun.file(join(directory.path, "in the way")).delete();
  await eventually(() => own.log.stats().written === 10_000);
  expect(own.log.stats().fault).toBeNull();
  expect(own.lines.filter((line) => line.includes("cannot be used"))).toHaveLength(1);
  expect(path).not.toBe(own.path);
});

test("newerThan() resolves with the next record, and ends with its signal or the log", async () => {
  await using own = await openTestLog();
  const leaving = new AbortController();
  const woken = own.log.newerThan(0, new AbortController().signal);
  own.log.append(toRecord());
  expect(await woken).toBe("newer");
  const id = valueOf(own.log.newestId());
  expect(await own.log.newerThan(0, leaving.signal)).toBe("newer");
  const left = own.log.newerThan(id, leaving.signal);
  const closed = own.log.newerThan(id, new AbortController().signal);
  leaving.abort();
  expect(await left).toBe("aborted");
  own.log.close();
  expect(await closed).toBe("closed");
});

const MIB = 1024 * 1024;

test("openDeliveryLog() leaves a quarter of a small disk free, WAL included, and keeps the newest records", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  const used = { value: 0 };
  const disk = () => ({ totalBytes: 4 * MIB, freeBytes: 4 * MIB - used.value });
  await using own = await openTestLog({ path, disk });
  const body = Buffer.alloc(40_000, "a");
  let largest = 0;
  for (let round = 0; round < 20; round += 1) {
    for (let index = 0; index < 10; index += 1) {
      own.log.append(toRecord({ status: 200 + round, request: { headers: null, body, isCut: false } }));
    }
    await eventually(async () => {
      used.value = await bytesOf(path);
      return own.log.stats().written === (round + 1) * 10;
    });
    largest = Math.max(largest, await bytesOf(path));
  }
  expect(largest).toBeLessThan(3 * MIB);
  expect(newest(own.log).records[0]?.status).toBe(219);
  expect(own.log.stats()).toMatchObject({ dropped: 0, faults: 0, fault: null });
});

test("openDeliveryLog() shrinks while others fill the disk, and writes nothing until there is room", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  let others = 0;
  const disk = () => ({ totalBytes: 16 * MIB, freeBytes: 16 * MIB - others - sizeSync(path) });
  await using own = await openTestLog({ path, disk });
  const body = Buffer.alloc(40_000, "a");
  const append = (count: number) => {
    for (let index = 0; index < count; index += 1) {
      own.log.append(toRecord({ request: { headers: null, body, isCut: false } }));
    }
  };
  append(100);
  await eventually(() => own.log.stats().written === 100);
  others = 14 * MIB;
  append(1);
  await eventually(() => own.log.stats().fault !== null);
  expect(own.log.stats()).toMatchObject({ written: 100, faults: 1 });
  expect(valueOf(own.log.newestId())).toBeGreaterThan(0);
  await eventually(() => sizeSync(path) < MIB, { withinMs: 25_000 });
  others = 0;
  await eventually(() => own.log.stats().written === 101);
  expect(own.log.stats().fault).toBeNull();
  expect(own.lines.map((line) => JSON.parse(line).message)).toEqual([
    "Delivery log is not written",
    "Delivery log has room again",
  ]);
}, 30_000);

function sizeSync(path: string): number {
  return ["", "-wal", "-shm"].reduce((sum, end) => {
    return sum + (statSync(path + end, { throwIfNoEntry: false })?.size ?? 0);
  }, 0);
}
test.each(["", "-wal", "-shm"])(
  "openDeliveryLog() does not follow a symbolic link at the log%s",
  async (end) => {
    await using directory = await temporaryDirectory();
    const target = join(directory.path, "target");
    await writeFile(target, "precious");
    const path = join(directory.path, "delivery-log.db");
    await symlink(target, path + end);
    expect(() => openLogStore(path)).toThrow(end === "" ? "ELOOP" : "is a symbolic link");
    expect(await readFile(target, "utf8")).toBe("precious");
  },
);

test("readSlice() finds records in every block, up and down, also those not in a block before a restart", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "log.db");
  const total = 5300;
  const rare = new Set([3, 2100, 4999, 5299]);
  {
    await using own = await openTestLog({ path });
    for (let index = 0; index < total; index += 1) {
      own.log.append(toRecord({ message: toMessage(rare.has(index) ? "rare" : `s.${index}`, index + 1) }));
      if (index % 400 === 0) await eventually(() => own.log.stats().written === index + 1);
    }
    await eventually(() => own.log.stats().written === total);
  }
  await using own = await openTestLog({ path });
  const walk = (direction: "up" | "down", filter: Partial<typeof EVERY_RECORD>) => {
    const found: number[] = [];
    let from: number | null = direction === "down" ? Number.MAX_SAFE_INTEGER : 0;
    while (from !== null) {
      const slice: Slice = valueOf(
        own.log.readSlice({
          filter: { ...EVERY_RECORD, ...filter },
          from,
          direction,
          columns: "brief",
          limit: 50,
        }),
      );
      found.push(...slice.records.map(({ message }) => message.sequence));
      from = slice.end;
    }
    return found;
  };
  expect(walk("down", { subject: ["rare"] })).toEqual([5300, 5000, 2101, 4]);
  expect(walk("up", { subject: ["rare"] })).toEqual([4, 2101, 5000, 5300]);
  expect(walk("down", { sequence: [1, 2000, 5299] })).toEqual([5299, 2000, 1]);
  const all = Array.from({ length: total }, (_, index) => index + 1);
  expect(walk("up", {})).toEqual(all);
  expect(walk("down", {})).toEqual(all.toReversed());
});
