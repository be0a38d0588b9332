// Writes log lines to a file descriptor without ever making the program wait: a reader that stalls or leaves costs lines, not messages.

import { write } from "node:fs";
import { promisify } from "node:util";

import { codeOf } from "./errors.ts";

interface LineWriter {
  /** Queued; dropped, and counted in a later line, while more than a mebibyte waits. */
  write: (line: string) => void;
  /** Resolves when everything is written, or after `limitMs`. */
  flush: (limitMs: number) => Promise<void>;
}

const MAX_QUEUED_LENGTH = 1024 * 1024;
/** Nobody will read any more: the pipe or the terminal was closed. */
const GONE: ReadonlySet<string> = new Set(["EPIPE", "EIO", "EBADF"]);
/** A pipe or a disk that is full may have room again. */
const RETRY_MS = 200;
const writeTo = promisify(write);
const wait = promisify(setTimeout);

/** `toNotice` makes the line that says how many were dropped. */
export function createLineWriter(fd: number, toNotice: (dropped: number) => string): LineWriter {
  let queued = "";
  let dropped = 0;
  let isGone = false;
  let writing: Promise<void> | null = null;

  function enqueue(line: string): void {
    if (isGone) return;
    if (queued.length > MAX_QUEUED_LENGTH) {
      dropped += 1;
      return;
    }
    queued += `${line}\n`;
    writing ??= drain();
  }

  /** Lines of one turn of the event loop go out together. Never rejects. */
  async function drain(): Promise<void> {
    await Promise.resolve();
    while (queued !== "") {
      const text = queued;
      queued = "";
      await writeAll(Buffer.from(text));
      if (dropped > 0) {
        queued += `${toNotice(dropped)}\n`;
        dropped = 0;
      }
    }
    writing = null;
  }

  /** Never rejects. */
  async function writeAll(bytes: Buffer): Promise<void> {
    for (let offset = 0; offset < bytes.length && !isGone;) {
      try {
        const { bytesWritten } = await writeTo(fd, bytes, offset);
        offset += bytesWritten;
      } catch (error) {
        isGone = GONE.has(codeOf(error));
        if (isGone) queued = "";
        else await wait(RETRY_MS);
      }
    }
  }

  return {
    write: enqueue,
    async flush(limitMs) {
      if (writing === null) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, limitMs);
      await Promise.race([writing, promise]);
      clearTimeout(timer);
    },
  };
}
