// What a journal gives back: what was written, in order, and when it is in the file.

import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";

import { afterAll, describe, expect, spyOn, test } from "bun:test";

import { openJournal } from "#pipeline/journal.ts";

import { entries, entry, HEAD, openPaths, readJournal, writeJournal } from "./journals.ts";

const paths = await openPaths();

afterAll(() => paths[Symbol.asyncDispose]());

describe("openJournal()", () => {
  test("makes the directory and the file, for its user only", async () => {
    const path = paths.next();
    expect(await readJournal(path)).toEqual({ head: null, entries: [] });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(path, ".."))).mode & 0o777).toBe(0o700);
  });

  test("tells what was rewritten and what was appended, in order", async () => {
    const path = paths.next();
    const { journal } = await openJournal(path);
    await journal.rewrite([HEAD], [entry(12), entry(9)]);
    for (const each of [entry(8), entry(20), entry(10)]) journal.append(each);
    await journal.close();
    const expected = [12, 9, 8, 20, 10].map(entry);
    expect(await readJournal(path)).toEqual({ head: HEAD, entries: expected });
    expect(await readJournal(path)).toEqual({ head: HEAD, entries: expected });
  });

  test("follows no link: neither the file nor the one that replaces it cuts off what a link leads to", async () => {
    const target = paths.next();
    await mkdir(join(target, ".."), { recursive: true });
    await writeFile(target, "precious");
    const linked = paths.next();
    await mkdir(join(linked, ".."), { recursive: true });
    await symlink(target, linked);
    const opened = await openJournal(linked);
    expect(String(opened.fault)).toContain("ELOOP");
    await opened.journal.close().catch(() => undefined);
    const path = paths.next();
    const { journal } = await openJournal(path);
    await symlink(target, `${path}.new`);
    expect(await journal.rewrite([HEAD], []).catch(String)).toContain("ELOOP");
    await journal.close().catch(() => undefined);
    expect(await readFile(target, "utf8")).toBe("precious");
  });

  test("goes on after what is there", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 9));
    const { journal } = await openJournal(path);
    journal.append(entry(10));
    await journal.close();
    expect((await readJournal(path)).entries).toEqual(entries(8, 10));
  });

  test("keeps numbers that no double could", async () => {
    const path = paths.next();
    const big = { sequence: Number.MAX_SAFE_INTEGER, timestampNanos: 2n ** 63n - 1n };
    await writeJournal(path, [big]);
    expect((await readJournal(path)).entries).toEqual([big]);
  });

  test("takes the newest head", async () => {
    const path = paths.next();
    const { journal } = await openJournal(path);
    await journal.rewrite([HEAD], [entry(8)]);
    journal.appendHead({ ...HEAD, place: 8, witness: null });
    journal.append(entry(9));
    await journal.close();
    expect(await readJournal(path)).toEqual({
      head: { ...HEAD, place: 8, witness: null },
      entries: entries(8, 9),
    });
  });

  test("tells why the file cannot be written or read", async () => {
    const path = paths.next();
    await mkdir(path, { recursive: true });
    const { journal, lines, fault } = await openJournal(path);
    expect(String(fault)).toContain("EISDIR");
    expect(lines).toEqual([]);
    expect(journal.needsRewrite(0)).toBe(true);
    expect(journal.flush({ isDurable: true })).rejects.toThrow();
    await rm(path, { recursive: true });
    await journal.rewrite([HEAD], [entry(8)]);
    await journal.close();
    expect(await readJournal(path)).toEqual({ head: HEAD, entries: [entry(8)] });
  });
});

describe("flush()", () => {
  test("has everything in the file when it resolves", async () => {
    const path = paths.next();
    await writeJournal(path, []);
    const { journal } = await openJournal(path);
    for (const isDurable of [false, true]) {
      const before = await readFile(path, "latin1");
      journal.append(entry(8));
      expect(await readFile(path, "latin1")).toBe(before);
      await journal.flush({ isDurable });
      expect((await readFile(path, "latin1")).length).toBeGreaterThan(before.length);
    }
    await journal.close();
  });

  test("keeps the order of asking among writes that overlap", async () => {
    const path = paths.next();
    await writeJournal(path, []);
    const { journal } = await openJournal(path);
    const flushes = entries(1, 50).map((each) => {
      journal.append(each);
      return journal.flush({ isDurable: each.sequence % 7 === 0 });
    });
    await Promise.all(flushes);
    await journal.close();
    expect((await readJournal(path)).entries).toEqual(entries(1, 50));
  });

  test("has in the file what was appended between a rewrite and a flush asked for before it", async () => {
    const path = paths.next();
    await writeJournal(path, []);
    const { journal } = await openJournal(path);
    const busy = journal.flush({ isDurable: true });
    journal.append(entry(8));
    const flushed = journal.flush({ isDurable: true });
    const rewritten = journal.rewrite([HEAD], [entry(8)]);
    journal.append(entry(9));
    await journal.flush({ isDurable: true });
    expect((await readJournal(path)).entries).toEqual(entries(8, 9));
    await Promise.all([busy, flushed, rewritten]);
    await journal.close();
  });
});

describe("rewrite()", () => {
  test("replaces the file by another one, and leaves nothing beside it", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 9));
    const before = await stat(path);
    const { journal } = await openJournal(path);
    journal.append(entry(10));
    await journal.rewrite([{ ...HEAD, place: 9 }], [entry(30)]);
    journal.append(entry(31));
    await journal.close();
    expect(await readJournal(path)).toEqual({ head: { ...HEAD, place: 9 }, entries: entries(30, 31) });
    expect((await stat(path)).ino).not.toBe(before.ino);
    expect(await readdir(join(path, ".."))).toEqual(["billing"]);
  });

  test("is needed by a file that has outgrown what counts", async () => {
    const path = paths.next();
    await writeJournal(path, []);
    const { journal } = await openJournal(path);
    for (const each of entries(1, 2000)) journal.append(each);
    await journal.flush({ isDurable: false });
    expect(journal.needsRewrite(2000)).toBe(false);
    expect(journal.needsRewrite(100)).toBe(true);
    await journal.rewrite([HEAD], [entry(2000)]);
    expect(journal.needsRewrite(1)).toBe(false);
    await journal.close();
    expect((await readJournal(path)).entries).toEqual([entry(2000)]);
  });
});

test("close() writes what is queued, and what was asked for before it", async () => {
  const path = paths.next();
  await writeJournal(path, []);
  const { journal } = await openJournal(path);
  journal.append(entry(8));
  void journal.flush({ isDurable: true });
  journal.append(entry(9));
  await journal.close();
  expect((await readJournal(path)).entries).toEqual(entries(8, 9));
});

test("nothing is written after close()", async () => {
  const path = paths.next();
  await writeJournal(path, [entry(8)]);
  const { journal } = await openJournal(path);
  await journal.close();
  const before = await readFile(path, "latin1");
  journal.append(entry(9));
  expect(journal.flush({ isDurable: true })).rejects.toThrow("The journal is closed");
  expect(journal.rewrite([HEAD], [])).rejects.toThrow("The journal is closed");
  expect(journal.close()).rejects.toThrow("The journal is closed");
  expect(await readFile(path, "latin1")).toBe(before);
});

test("flush() syncs once for all that wait for it, and each is in the file when its own resolves", async () => {
  const path = paths.next();
  const { journal } = await openJournal(path);
  await journal.rewrite([HEAD], []);
  const probe = await open(path, "r");
  const prototype = Object.getPrototypeOf(probe) as FileHandle;
  const datasync = spyOn(prototype, "datasync");
  await probe.close();
  const flushes = Array.from({ length: 20 }, async (_, index) => {
    journal.append(entry(8 + index));
    await journal.flush({ isDurable: true });
    expect(await readFile(path, "utf8")).toContain(`\n${8 + index} `);
  });
  await Promise.all(flushes);
  expect(datasync.mock.calls.length).toBeLessThanOrEqual(2);
  datasync.mockRestore();
  await journal.close();
  expect((await readJournal(path)).entries).toEqual(entries(8, 27));
});

test("flush() that fails fails for all that wait for it, and a rewrite puts it right", async () => {
  const path = paths.next();
  const { journal } = await openJournal(path);
  await journal.rewrite([HEAD], []);
  const probe = await open(path, "r");
  const datasync = spyOn(Object.getPrototypeOf(probe) as FileHandle, "datasync");
  await probe.close();
  datasync.mockImplementationOnce(() => Promise.reject(new Error("no space")));
  const flushes = [8, 9].map((sequence) => {
    journal.append(entry(sequence));
    return journal.flush({ isDurable: true }).catch(String);
  });
  expect(await Promise.all(flushes)).toEqual(["Error: no space", "Error: no space"]);
  datasync.mockRestore();
  await journal.rewrite([HEAD], entries(8, 9));
  await journal.close();
  expect((await readJournal(path)).entries).toEqual(entries(8, 9));
});
