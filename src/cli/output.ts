// Prints the output of a command, whole or not at all, and maps faults to messages and exit codes.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { codeOf, type ErrorCode, messageOf, RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";

export interface Output {
  /** Bytes are written as they are. */
  readonly stdout: (content: string | Uint8Array) => void;
  readonly stderr: (text: string) => void;
}

/** The reason to stop a command if nobody reads its output any more, which is not a failure. */
export const NOBODY_READS = "EPIPE";

export const EXIT = { failure: 1, usage: 2, bug: 70, config: 78 } as const;

export function toExitCode(code: ErrorCode): number {
  switch (code) {
    case "config-invalid":
      return EXIT.config;
    case "usage":
      return EXIT.usage;
    case "nats-unavailable":
    case "stream-missing":
    case "consumer-refused":
    case "bucket-refused":
    case "missing-requirement":
    case "unavailable":
      return EXIT.failure;
  }
}

/** Of a failed write. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOENT: "its directory does not exist",
  ENOSPC: "no space is left",
  ENOTDIR: "its directory is a file",
  EROFS: "the file system is read-only",
};

/** `target`: a path, or `to stdout`. */
export function toWriteFault(target: string, error: unknown): RelayError {
  const code = codeOf(error);
  const reason = REASONS[code] ?? messageOf(error);
  return new RelayError("unavailable", `Cannot write ${clean(target)}: ${reason}`, { cause: error });
}

/** Delay before the next write to a full non-blocking pipe. */
const RETRY_MS = 10;
const STALLED_MS = 60_000;

/** EIO on these means that the terminal was closed, not a fault of a disk. */
const terminals: ReadonlySet<number> = new Set([1, 2].filter(isatty));

type Print = (fd: 1 | 2, content: string | Uint8Array) => void;

/**
 * Calls `onNobodyReads` if the reader is gone, as in `relay schema | head -1` or on a closed terminal: that is no fault.
 * Throws a RelayError if stdout cannot be written. A fault of stderr is ignored: there is nowhere to report it.
 */
export function createPrint(onNobodyReads: () => void): Print {
  return function print(fd, content) {
    try {
      writeAll(fd, typeof content === "string" ? Buffer.from(content) : content);
    } catch (error) {
      const code = codeOf(error);
      if (code === "EPIPE" || (code === "EIO" && terminals.has(fd))) return onNobodyReads();
      if (fd === 1) throw error instanceof RelayError ? error : toWriteFault("to stdout", error);
    }
  };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let progressAt = performance.now();
  for (let offset = 0; offset < bytes.length;) {
    try {
      offset += writeSync(fd, bytes, offset);
      progressAt = performance.now();
    } catch (error) {
      if (codeOf(error) !== "EAGAIN") throw error;
      if (performance.now() - progressAt > STALLED_MS)
        throw new RelayError("unavailable", "Cannot write to stdout: nobody reads it", { cause: error });
      Bun.sleepSync(RETRY_MS);
    }
  }
}
