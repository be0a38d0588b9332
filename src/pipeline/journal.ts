// An append-only file of the messages that a subscription completed, with a checksum on each line.
//
// The newest head counts, but witnesses of earlier heads stay. Lines never change: sometimes the file is rewritten with those that count.

import { constants, writeSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf } from "#lib/errors.ts";

export interface JournalEntry {
  readonly sequence: number;
  readonly timestampNanos: bigint;
}

/** The stream and consumer of the entries. */
export interface JournalHead {
  /** `created` of the stream, as the server writes it. */
  readonly streamCreated: string;
  /** `created` of the durable consumer. */
  readonly consumerCreated: string;
  /** The server's acknowledgement floor; null: unknown. */
  readonly place: number | null;
  /** The newest message up to the floor that is known to have been in the stream; null: unknown. */
  readonly witness: JournalEntry | null;
  /** The highest sequence up to the floor that this relay completed; 0: none. */
  readonly completed: number;
}

export type JournalLine =
  | { readonly kind: "head"; readonly head: JournalHead }
  | { readonly kind: "entry"; readonly entry: JournalEntry };

interface Journal {
  /** Queued in memory, on disk after the next `flush`. If the file is damaged, left to the rewrite. */
  append: (entry: JournalEntry) => void;
  /** Queued as well. */
  appendHead: (head: JournalHead) => void;
  /**
   * Writes what is queued. With `isDurable` it is also synced: it survives a power failure once this resolves. Rejects with
   * the file system's error, and keeps rejecting until a rewrite has replaced the file.
   */
  flush: (options: { isDurable: boolean }) => Promise<void>;
  /** Replaces the whole file, synced: afterwards there is the old one or the new one, never a part. */
  rewrite: (heads: readonly JournalHead[], entries: Iterable<JournalEntry>) => Promise<void>;
  /** The file has no head, a write or sync failed, or it has outgrown the entries that count. */
  readonly needsRewrite: (entries: number) => boolean;
  /** Flushes, then closes the file. Later calls reject. */
  close: () => Promise<void>;
}

interface OpenedJournal {
  readonly journal: Journal;
  /**
   * Up to the first damaged line: anything after it is not trusted. Begins with a head; empty: there was no file, or its
   * first line was damaged.
   */
  readonly lines: readonly JournalLine[];
  /** Why the file cannot be written or read; null: it can. A rewrite tries again. */
  readonly fault: Error | null;
}

/** Do not follow a symbolic link: its target would be truncated. */
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
/** How large a file may grow beyond twice the entries that count, of some 40 bytes each. */
const SPARE_LINES = 1024;
const MAX_LINES = 400_000;
const MAX_SYNC_LENGTH = 512;
const PROBE_BYTES = 16_384;
/** There is no file, or not even its directory. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR"]);

/** Opens or creates the file at `path`, with its directory. Never rejects. */
export async function openJournal(path: string): Promise<OpenedJournal> {
  const opened = await openFile(path);
  let { file } = opened;
  let queued = "";
  let lines = opened.lines.length;
  /** As of the writes requested so far; `isTorn`: as of those done so far. */
  let isDamaged = lines === 0 || file === null;
  let isTorn = isDamaged;
  let isClosed = false;
  let chain: Promise<void> = Promise.resolve();
  /** A write that is to be synced and has not begun: what is queued meanwhile goes with it. Null: none waits. */
  let nextSync: { text: string; readonly done: Promise<void> } | null = null;

  /** One write at a time, in order; after a failure the next ones fail too until the file is replaced. */
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

  /** Taken at the call: a rewrite requested later replaces what this one writes. */
  function takeQueued(): string {
    const taken = queued;
    queued = "";
    return taken;
  }

  /** Written from this thread, since a line or two only go to the page cache: another thread would take ten times as long. */
  async function write(text: string): Promise<void> {
    if (isTorn || file === null) throw new Error("An earlier write failed");
    if (text.length > MAX_SYNC_LENGTH) await file.appendFile(text);
    else if (text !== "" && writeSync(file.fd, text) < text.length) throw new Error("A part was not written");
  }

  function enqueue(line: string): void {
    lines += 1;
    if (lines > MAX_LINES) isDamaged = true; // The disk hangs: queue nothing more.
    if (!isDamaged) queued += line;
  }

  function flush({ isDurable }: { isDurable: boolean }): Promise<void> {
    if (queued === "" && !isDurable) return Promise.resolve();
    const text = takeQueued();
    if (isDurable) return sync(text);
    nextSync = null;
    return inOrder(() => write(text));
  }

  /** One sync for all that wait for it. */
  function sync(text: string): Promise<void> {
    if (nextSync !== null && !isClosed) {
      nextSync.text += text;
      return nextSync.done;
    }
    const done = inOrder(async () => {
      if (nextSync === own) nextSync = null;
      await write(own.text);
      await file?.datasync();
    });
    const own = { text, done };
    nextSync = isClosed ? null : own;
    return done;
  }

  function rewrite(newHeads: readonly JournalHead[], newEntries: Iterable<JournalEntry>): Promise<void> {
    const newLines = [...newHeads.map(formatHead), ...[...newEntries].map(formatEntry)];
    lines = newLines.length;
    queued = "";
    nextSync = null;
    isDamaged = false;
    return inOrder(async () => {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      const next = await putInPlace(path, newLines.join(""));
      const previous = file;
      file = next;
      await previous?.close();
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
        await file?.close();
      }
    });
    isClosed = true;
    return closed;
  }

  return {
    lines: opened.lines,
    fault: opened.fault,
    journal: {
      append: (entry) => enqueue(formatEntry(entry)),
      appendHead: (head) => enqueue(formatHead(head)),
      flush,
      rewrite,
      needsRewrite: (entries) => isDamaged || lines > 2 * entries + SPARE_LINES,
      close,
    },
  };
}

interface OpenedFile extends Pick<OpenedJournal, "lines" | "fault"> {
  /** Null: it cannot be written. */
  readonly file: FileHandle | null;
}

/** A file that can be read but not written still counts. */
async function openFile(path: string): Promise<OpenedFile> {
  let lines: readonly JournalLine[] = [];
  try {
    const text = await readIfThere(path);
    const parsed = parseJournal(text);
    lines = parsed.lines;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await openAt(path, parsed.trustedBytes < text.length ? parsed.trustedBytes : null);
    return { lines, file, fault: null };
  } catch (error) {
    return { lines, file: null, fault: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** `keepBytes`: truncates the file there, since damage would hide the lines that follow; null: keeps all. */
async function openAt(path: string, keepBytes: number | null): Promise<FileHandle> {
  const file = await open(path, O_APPEND | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
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
  const next = await open(temporary, O_TRUNC | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
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

/** Rejects with the file system's error if a journal at `path` cannot be written. Leaves nothing behind; does not wait for the disk. */
export async function probeJournal(path: string): Promise<void> {
  const temporary = `${path}.new`;
  const probe = await open(temporary, O_TRUNC | O_CREAT | O_WRONLY | O_NOFOLLOW, 0o600);
  try {
    await probe.appendFile("\0".repeat(PROBE_BYTES));
  } finally {
    await probe.close();
    await rm(temporary, { force: true });
  }
}

/** Makes a rename in the directory durable. */
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
    if (ABSENT.has(codeOf(error))) return "";
    throw error;
  }
}

function toLine(text: string): string {
  return `${text} ${checksum(text)}\n`;
}

function checksum(text: string): string {
  return Bun.hash.crc32(text).toString(16).padStart(8, "0");
}

/** The line without its checksum, or null if the checksum is wrong. */
function fromLine(line: string): string | null {
  const text = line.slice(0, -9);
  return line.slice(-9) === ` ${checksum(text)}` ? text : null;
}

function formatHead(head: JournalHead): string {
  const { witness } = head;
  return toLine(
    JSON.stringify({ ...head, witness: witness && [witness.sequence, `${witness.timestampNanos}`] }),
  );
}

function formatEntry({ sequence, timestampNanos }: JournalEntry): string {
  return toLine(`${sequence} ${timestampNanos}`);
}

interface ParsedJournal extends Pick<OpenedJournal, "lines"> {
  /** Up to the end of the last valid line. */
  readonly trustedBytes: number;
}

function parseJournal(text: string): ParsedJournal {
  const lines: JournalLine[] = [];
  let trustedBytes = 0;
  // After the last line break there is a torn line, or nothing.
  for (const written of text.split("\n").slice(0, -1)) {
    const line = fromLine(written);
    if (line === null || (lines.length === 0 && !isHead(line))) break;
    lines.push(
      isHead(line) ? { kind: "head", head: parseHead(line) } : { kind: "entry", entry: parseEntry(line) },
    );
    trustedBytes += written.length + 1;
  }
  return { lines, trustedBytes };
}

function isHead(line: string): boolean {
  return line.startsWith("{");
}

function parseHead(line: string): JournalHead {
  const head = JSON.parse(line) as Omit<JournalHead, "witness" | "completed"> & {
    witness?: [number, string] | null;
    completed?: number;
  };
  const [sequence, timestamp] = head.witness ?? [];
  const witness =
    sequence === undefined || timestamp === undefined
      ? null
      : { sequence, timestampNanos: BigInt(timestamp) };
  return { ...head, witness, completed: head.completed ?? 0 };
}

function parseEntry(line: string): JournalEntry {
  const [sequence = "", timestamp = ""] = line.split(" ");
  return { sequence: Number(sequence), timestampNanos: BigInt(timestamp) };
}
