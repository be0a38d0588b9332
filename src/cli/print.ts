// What a command prints goes out whole, or is a fault that is told: never a half of it in silence.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { codeOf, RelayError } from "#lib/errors.ts";
import { toWriteFault } from "./write-fault.ts";

/** A pipe that does not block its writer is looked at again so soon. */
const RETRY_MS = 10;
const STALLED_MS = 60_000;

/** Only of these is EIO no fault of a disk: they were closed. */
const terminals: ReadonlySet<number> = new Set([1, 2].filter(isatty));

export type Print = (fd: 1 | 2, content: string | Uint8Array) => void;

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
