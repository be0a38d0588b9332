// Writes log lines to a file descriptor without blocking: if the reader stalls or exits, lines are dropped and counted.

import { write } from "node:fs";
import { promisify } from "node:util";

import { codeOf } from "./errors.ts";

interface LineWriter {
  /** Queues a line. Above a mebibyte of queued lines it is dropped, and counted in a later line. */
  write: (line: string) => void;
  /** Resolves when everything is written, or after `limitMs`. */
  flush: (limitMs: number) => Promise<void>;
}

const MAX_QUEUED_LENGTH = 1024 * 1024;
/** The reader has closed the pipe or the terminal. */
const GONE: ReadonlySet<string> = new Set(["EPIPE", "EIO", "EBADF"]);
/** A full pipe or disk may have room again. */
const RETRY_MS = 200;
const writeTo = promisify(write);
const wait = promisify(setTimeout);

/** `toNotice` makes the line that tells how many were dropped. */
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

  /** Writes the lines of one turn of the event loop together. Never rejects. */
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
