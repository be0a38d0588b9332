// Why something could not be written, in words.

import { codeOf, messageOf, RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOENT: "its directory is not there",
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
