// Journals for tests: where they lie, what is in them.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type JournalEntry, type JournalHead, openJournal } from "#pipeline/journal.ts";

export interface Paths extends AsyncDisposable {
  /** Of a file in a directory, both of which are not there yet. */
  next: () => string;
}

export const HEAD: JournalHead = {
  streamCreated: "2024-05-06T07:08:09.123456789Z",
  consumerCreated: "2024-05-06T07:08:10.5Z",
  place: 7,
  witness: { sequence: 6, timestampNanos: 1_700_000_000_000_000_006n },
  completed: 6,
};

export async function openPaths(): Promise<Paths> {
  const root = await mkdtemp(join(tmpdir(), "relay-journal-"));
  let count = 0;
  return {
    next() {
      count += 1;
      return join(root, String(count), "billing");
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  };
}

export function entry(sequence: number): JournalEntry {
  return { sequence, timestampNanos: 1_700_000_000_000_000_000n + BigInt(sequence) };
}

export function entries(first: number, last: number): JournalEntry[] {
  return Array.from({ length: last - first + 1 }, (_, index) => entry(first + index));
}

/** What somebody who opens the file now is told. */
export async function readJournal(
  path: string,
): Promise<{ head: JournalHead | null; entries: readonly JournalEntry[] }> {
  const { journal, lines } = await openJournal(path);
  await journal.close();
  const heads = lines.flatMap((line) => (line.kind === "head" ? [line.head] : []));
  const found = lines.flatMap((line) => (line.kind === "entry" ? [line.entry] : []));
  return { head: heads.at(-1) ?? null, entries: found };
}

export async function writeJournal(path: string, written: readonly JournalEntry[]): Promise<void> {
  const { journal } = await openJournal(path);
  await journal.rewrite([HEAD], written);
  await journal.close();
}
