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

/** Why a command is stopped whose output nobody reads any more: that is no failure. */
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

/** A pipe that does not block its writer is looked at again so soon. */
const RETRY_MS = 10;
const STALLED_MS = 60_000;

/** Only of these is EIO no fault of a disk: they were closed. */
const terminals: ReadonlySet<number> = new Set([1, 2].filter(isatty));

type Print = (fd: 1 | 2, content: string | Uint8Array) => void;

/**
 * What nobody reads any more, as in `relay schema | head -1` or on a terminal that was closed, is no fault: `onNobodyReads`.
 * Throws a RelayError where stdout takes no more; of stderr nobody could be told.
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
