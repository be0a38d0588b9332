// Saves a download to a file, whole or not at all, or writes it to standard output.

import { open, rename, rm, stat } from "node:fs/promises";
import { RelayError } from "#lib/errors.ts";
import { type Output, toWriteFault } from "./output.ts";

/** `path`: null for standard output. Resolves with how many bytes it were. Rejects with a RelayError. */
export async function save(
  chunks: AsyncIterable<Uint8Array>,
  { path, io }: { path: string | null; io: Output },
): Promise<number> {
  if (path !== null) return saveToFile(chunks, path);
  let length = 0;
  for await (const chunk of chunks) {
    io.stdout(chunk);
    length += chunk.length;
  }
  return length;
}

/** For its owner only: what is saved may be anybody's data. */
async function saveToFile(chunks: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  // A device, such as /dev/null, is written to, and never replaced.
  const isPlain = await stat(path).then(
    (found) => found.isFile(),
    () => true,
  );
  const part = isPlain ? `${path}.${process.pid}.part` : path;
  let length = 0;
  try {
    await using file = await open(part, isPlain ? "wx" : "w", 0o600);
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      length += chunk.length;
    }
    if (isPlain) await rename(part, path);
    return length;
  } catch (error) {
    if (isPlain) await rm(part, { force: true });
    if (error instanceof RelayError) throw error;
    throw toWriteFault(path, error);
  }
}
