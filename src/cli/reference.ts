// `relay reference`: the manual page and the completions of shells, made from the commands themselves.

import { RelayError } from "#lib/errors.ts";
import { type Described, toEntries } from "./reference-entry.ts";
import { toManual } from "./manual.ts";
import type { Output } from "./output.ts";
import { toBash, toFish, toZsh } from "./completions.ts";

const FORMATS = { man: toManual, bash: toBash, zsh: toZsh, fish: toFish } as const;

/** Returns the exit code. Throws a RelayError for a format that is none. */
export function runReference(program: Described, format: string, io: Output): number {
  const found = Object.entries(FORMATS).find(([name]) => name === format);
  if (found === undefined) {
    const allowed = Object.keys(FORMATS).join(", ");
    throw new RelayError("usage", `Cannot print ${format}: allowed are ${allowed}`);
  }
  io.stdout(found[1](toEntries(program)));
  return 0;
}
