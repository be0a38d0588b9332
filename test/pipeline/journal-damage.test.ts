// What a journal gives back after a crash or a failing disk: whole lines only, and nothing hidden behind a torn one.

import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterAll, describe, expect, test } from "bun:test";

import { openJournal } from "#pipeline/journal.ts";

import { entries, entry, HEAD, openPaths, readJournal, writeJournal } from "./journals.ts";

const paths = await openPaths();

afterAll(() => paths[Symbol.asyncDispose]());

describe("openJournal()", () => {
  test("trusts whole lines only, wherever a crash cut the file", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 11));
    const whole = await readFile(path);
    const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([index]) => index + 1);
    expect(ends).toHaveLength(5);
    for (let length = 0; length <= whole.length; length += 1) {
      await writeFile(path, whole.subarray(0, length));
      const { head, entries: found } = await readJournal(path);
      const lines = ends.filter((end) => end <= length).length;
      expect(head).toEqual(lines > 0 ? HEAD : null);
      expect(found).toEqual(entries(8, 11).slice(0, Math.max(0, lines - 1)));
    }
  });

  test("does not hide new lines behind a torn one, wherever it is torn", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 9));
    const whole = await readFile(path);
    const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1;
    for (let length = lastLine; length <= whole.length; length += 1) {
      await writeFile(path, whole.subarray(0, length));
      const { journal } = await openJournal(path);
      journal.append(entry(20));
      await journal.close();
      const kept = length === whole.length ? entries(8, 9) : [entry(8)];
      expect((await readJournal(path)).entries).toEqual([...kept, entry(20)]);
    }
  });

  test.each([
    ["a flipped bit", (line: string) => line.replace("1", "3")],
    ["garbage", () => "\u0000\u0000\u0000\u0000"],
    ["another checksum", (line: string) => `${line.slice(0, -1)}x`],
    ["an empty line", () => ""],
  ])("stops at %s in the middle, and cuts off what follows", async (_, damage) => {
    const path = paths.next();
    await writeJournal(path, entries(8, 11));
    const lines = (await readFile(path, "latin1")).split("\n");
    lines[3] = damage(lines[3] ?? "");
    await writeFile(path, lines.join("\n"), "latin1");
    expect(await readJournal(path)).toEqual({ head: HEAD, entries: entries(8, 9) });
    expect((await readFile(path, "latin1")).split("\n")).toHaveLength(4);
  });

  test("knows nothing where the head is damaged", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 11));
    const text = await readFile(path, "latin1");
    await writeFile(path, text.replace('"place":7', '"place":9'), "latin1");
    const opened = await openJournal(path);
    expect(opened.lines).toEqual([]);
    expect(opened.journal.needsRewrite(0)).toBe(true);
    await opened.journal.close();
  });
});

describe("rewrite()", () => {
  test("is not disturbed by what a crash in the middle of one left", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 9));
    await writeFile(`${path}.new`, "half of a longer hea".repeat(100));
    expect(await readJournal(path)).toEqual({ head: HEAD, entries: entries(8, 9) });
    await writeJournal(path, [entry(30)]);
    expect((await readJournal(path)).entries).toEqual([entry(30)]);
    expect(await readdir(join(path, ".."))).toEqual(["billing"]);
  });

  test("leaves the old file where it fails, and is needed from then on", async () => {
    const path = paths.next();
    await writeJournal(path, entries(8, 9));
    const { journal } = await openJournal(path);
    await mkdir(`${path}.new`);
    expect(journal.needsRewrite(0)).toBe(false);
    expect(journal.rewrite([HEAD], [])).rejects.toThrow("EISDIR");
    await journal.flush({ isDurable: true }).catch(() => undefined);
    expect(journal.needsRewrite(0)).toBe(true);
    expect((await readJournal(path)).entries).toEqual(entries(8, 9));
    journal.append(entry(10));
    expect(journal.flush({ isDurable: true })).rejects.toThrow("An earlier write failed");
    await rm(`${path}.new`, { recursive: true });
    await journal.rewrite([HEAD], entries(8, 10));
    expect(journal.needsRewrite(0)).toBe(false);
    journal.append(entry(11));
    await journal.close();
    expect((await readJournal(path)).entries).toEqual(entries(8, 11));
  });
});

/** A child whose files may not grow past 4 KiB stands for a full disk: its last write stops in the middle of a line. */
test("a write that fails half way hides nothing, and a rewrite repairs the file", async () => {
  const path = paths.next();
  const script = `
    import { openJournal } from "#pipeline/journal.ts";
    const { journal } = await openJournal(process.env.JOURNAL);
    const head = { streamCreated: "a", consumerCreated: "b", place: 0, witness: null, completed: 0 };
    await journal.rewrite([head], []);
    const seen = [];
    let sequence = 0;
    while (!journal.needsRewrite(1000) && sequence < 1000) {
      sequence += 1;
      journal.append({ sequence, timestampNanos: 1700000000000000000n });
      await journal.flush({ isDurable: true }).then(() => seen.push(sequence), () => undefined);
    }
    const late = await journal.flush({ isDurable: true }).then(() => "written", (error) => error.message);
    await Bun.write(Bun.stdout, JSON.stringify({ seen, late }));
    if (process.env.REPAIR === "1") {
      await journal.rewrite([head], [{ sequence: 5000, timestampNanos: 1n }]);
      journal.append({ sequence: 5001, timestampNanos: 1n });
    }
    await journal.close().catch(() => undefined);
  `;
  for (const repair of ["0", "1"]) {
    const child = Bun.spawn(
      ["sh", "-c", 'trap "" XFSZ; ulimit -f 8; exec "$0" -e "$1"', process.execPath, script],
      {
        cwd: new URL("../..", import.meta.url).pathname,
        env: { ...process.env, JOURNAL: path, REPAIR: repair },
        stdout: "pipe",
        stderr: "inherit",
      },
    );
    const { seen, late } = (await new Response(child.stdout).json()) as { seen: number[]; late: string };
    expect(await child.exited).toBe(0);
    expect(late).toBe("An earlier write failed");
    expect(seen.length).toBeGreaterThan(50);
    const found = (await readJournal(path)).entries.map(({ sequence }) => sequence);
    expect(found).toEqual(repair === "1" ? [5000, 5001] : seen);
    await rename(path, `${path}.${repair}`);
  }
});
