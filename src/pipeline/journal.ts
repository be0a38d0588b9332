// An append-only file of what a subscription has completed, whose every line proves itself by a checksum.

import { writeSync } from "node:fs";
import { mkdir, open, readFile, rename, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "#lib/errors.ts";

export interface JournalEntry {
  readonly sequence: number;
  readonly timestampNanos: bigint;
}

/** What the entries are about; written anew, with the entries that still count, by `rewrite`. */
export interface JournalHead {
  /** `created` of the stream, as the server writes it. */
  readonly streamCreated: string;
  /** `created` of the durable consumer. */
  readonly consumerCreated: string;
  /** Where a lost consumer goes on: what comes up to here is acknowledged, by the server's word; null: not known. */
  readonly place: number | null;
  /** What was completed up to and including this sequence has no entry any more. */
  readonly floor: number;
  /** The newest message at or below the floor that this relay completed; 0n: none. */
  readonly floorTimestampNanos: bigint;
}

export interface Journal {
  /** Queued in memory: on disk after the next `flush`. While a rewrite is needed for damage, left to that. */
  append: (entry: JournalEntry) => void;
  /**
   * Writes what is queued. With `isDurable` it is also synced: it survives a power failure once this resolves. Rejects with
   * the file system's error, and from then on until a rewrite has replaced the file.
   */
  flush: (options: { isDurable: boolean }) => Promise<void>;
  /** Replaces the file as a whole, synced: the old one or the new one is there, never a part. */
  rewrite: (head: JournalHead, entries: Iterable<JournalEntry>) => Promise<void>;
  /** The file has no head, a write or sync of it failed, or it has outgrown what counts. */
  readonly needsRewrite: boolean;
  /** Flushes, then closes the file. Whatever is asked for afterwards rejects. */
  close: () => Promise<void>;
}

export interface OpenedJournal {
  readonly journal: Journal;
  /** Null: there was no file, or its first line was damaged. */
  readonly head: JournalHead | null;
  /** Up to the first damaged line: what a crash cut off is not trusted. */
  readonly entries: readonly JournalEntry[];
}

/** Some 40 bytes each. */
const MAX_LINES = 200_000;
const MAX_SYNC_LENGTH = 512;

/** Opens or creates the file at `path`, with its directory. Rejects with the file system's error. */
export async function openJournal(path: string): Promise<OpenedJournal> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const text = await readIfThere(path);
  const { head, entries, trustedBytes } = parseJournal(text);
  let file = await openAt(path, trustedBytes < text.length ? trustedBytes : null);
  let queued = "";
  let lines = entries.length;
  /** As of the writes asked for so far; `isTorn`: as of those made so far. */
  let isDamaged = head === null;
  let isTorn = isDamaged;
  let isClosed = false;
  let chain: Promise<void> = Promise.resolve();

  /** One write at a time, in the order of asking; a failed one fails those after it until the file is replaced. */
  function inOrder(write: () => Promise<void>): Promise<void> {
    if (isClosed) return Promise.reject(new Error("The journal is closed"));
    const result = chain.then(write);
    chain = result.catch(() => {
      isDamaged = true;
      isTorn = true;
      queued = "";
    });
    return result;
  }

  /** Taken when it is asked for: a rewrite that is asked for later replaces what this one writes. */
  function takeQueued(): string {
    const taken = queued;
    queued = "";
    return taken;
  }

  /** A line or two go to the page cache from here: another thread would take ten times as long to hand them over. */
  async function write(text: string): Promise<void> {
    if (isTorn) throw new Error("An earlier write failed");
    if (text.length > MAX_SYNC_LENGTH) await file.appendFile(text);
    else if (text !== "" && writeSync(file.fd, text) < text.length) throw new Error("A part was not written");
  }

  function append(entry: JournalEntry): void {
    lines += 1;
    if (lines > 2 * MAX_LINES) isDamaged = true; // The disk hangs: nothing more is queued.
    if (!isDamaged) queued += formatEntry(entry);
  }

  function flush({ isDurable }: { isDurable: boolean }): Promise<void> {
    if (queued === "" && !isDurable) return Promise.resolve();
    const text = takeQueued();
    return inOrder(async () => {
      await write(text);
      if (isDurable) await file.datasync();
    });
  }

  function rewrite(newHead: JournalHead, newEntries: Iterable<JournalEntry>): Promise<void> {
    const newLines = [...newEntries].map(formatEntry);
    lines = newLines.length;
    queued = "";
    isDamaged = false;
    return inOrder(async () => {
      const next = await putInPlace(path, toLine(formatHead(newHead)) + newLines.join(""));
      const previous = file;
      file = next;
      await previous.close();
      await syncDirectory(dirname(path));
      isTorn = false;
    });
  }

  function close(): Promise<void> {
    const text = takeQueued();
    const closed = inOrder(async () => {
      try {
        if (text !== "") await write(text);
      } finally {
        await file.close();
      }
    });
    isClosed = true;
    return closed;
  }

  return {
    head,
    entries,
    journal: {
      append,
      flush,
      rewrite,
      get needsRewrite() {
        return isDamaged || lines > MAX_LINES;
      },
      close,
    },
  };
}

/** `keepBytes`: what comes after them is cut off, for it would hide the lines that follow; null: all is kept. */
async function openAt(path: string, keepBytes: number | null): Promise<FileHandle> {
  const file = await open(path, "a", 0o600);
  try {
    if (keepBytes !== null) await file.truncate(keepBytes);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function putInPlace(path: string, text: string): Promise<FileHandle> {
  const temporary = `${path}.new`;
  const next = await open(temporary, "w", 0o600);
  try {
    await next.appendFile(text);
    await next.datasync();
    await rename(temporary, path);
    return next;
  } catch (error) {
    await next.close();
    throw error;
  }
}

/** Makes a rename in it durable. */
async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "";
    throw error;
  }
}

function toLine(text: string): string {
  return `${text} ${checksum(text)}\n`;
}

function checksum(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(8, "0");
}

/** The line without its checksum, or null if it does not prove itself. */
function fromLine(line: string): string | null {
  const text = line.slice(0, -9);
  return line.slice(-9) === ` ${checksum(text)}` ? text : null;
}

function formatHead(head: JournalHead): string {
  return JSON.stringify({ ...head, floorTimestampNanos: head.floorTimestampNanos.toString() });
}

function formatEntry({ sequence, timestampNanos }: JournalEntry): string {
  return toLine(`${sequence} ${timestampNanos}`);
}

interface ParsedJournal {
  readonly head: JournalHead | null;
  readonly entries: readonly JournalEntry[];
  /** Up to the end of the last whole line that proves itself. */
  readonly trustedBytes: number;
}

function parseJournal(text: string): ParsedJournal {
  const lines = text.split("\n").slice(0, -1); // What follows the last line break is a torn line, or nothing.
  const [first = "", ...rest] = lines;
  const headText = fromLine(first);
  if (headText === null) return { head: null, entries: [], trustedBytes: 0 };
  const head = JSON.parse(headText) as Omit<JournalHead, "floorTimestampNanos"> & {
    floorTimestampNanos: string;
  };
  const entries: JournalEntry[] = [];
  let trustedBytes = first.length + 1;
  for (const line of rest) {
    const entry = fromLine(line);
    if (entry === null) break;
    const [sequence = "", timestamp = ""] = entry.split(" ");
    entries.push({ sequence: Number(sequence), timestampNanos: BigInt(timestamp) });
    trustedBytes += line.length + 1;
  }
  const floorTimestampNanos = BigInt(head.floorTimestampNanos);
  return { head: { ...head, floorTimestampNanos }, entries, trustedBytes };
}
