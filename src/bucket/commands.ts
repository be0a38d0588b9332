// Keeps waiting bucket commands in a file of the state directory, so that a restart while NATS is away loses none.

import { readFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

import { codeOf, messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import { type LocalChange, MAX_KEYS, MAX_VALUE_BYTES } from "./mirror.ts";

export interface CommandFile {
  /** Commands left by the previous run. */
  readonly left: readonly LocalChange[];
  /** Writes the commands that wait. Resolves with null once they are synced to disk, or with the fault. Never rejects. */
  save: () => Promise<string | null>;
}

interface CommandFileOptions {
  /** null: keep nothing. */
  readonly path: string | null;
  readonly bucket: string;
  readonly waiting: () => readonly LocalChange[];
  readonly logger: Logger;
}

export function openCommandFile({ path, bucket, waiting, logger }: CommandFileOptions): CommandFile {
  let saving: Promise<string | null> = Promise.resolve(null);
  const left = path === null ? [] : read(path, { bucket, logger });
  let isThere = left.length > 0;

  async function write(): Promise<string | null> {
    if (path === null) return "there is no state directory";
    const commands = waiting();
    if (commands.length === 0 && !isThere) return null;
    try {
      if (commands.length === 0) await rm(path, { force: true });
      else await putInPlace(path, JSON.stringify({ bucket, commands }));
      isThere = commands.length > 0;
      return null;
    } catch (error) {
      logger.warn("Cannot write the commands that wait for NATS", { path, error: messageOf(error) });
      return messageOf(error);
    }
  }

  return {
    left,
    save() {
      saving = saving.then(write);
      return saving;
    },
  };
}

/** A file that cannot be read does not stop the start. */
function read(path: string, { bucket, logger }: { bucket: string; logger: Logger }): readonly LocalChange[] {
  try {
    const kept = JSON.parse(readFileSync(path, "utf8")) as { bucket?: unknown; commands?: unknown } | null;
    if (kept?.bucket !== bucket || !Array.isArray(kept.commands)) return [];
    const commands = (kept.commands as unknown[])
      .slice(0, MAX_KEYS)
      .flatMap((entry) => toChange(entry) ?? []);
    if (commands.length > 0)
      logger.info("Commands of the last run still wait for NATS", { keys: commands.length });
    return commands;
  } catch (error) {
    if (codeOf(error) !== "ENOENT")
      logger.warn("Cannot read the commands that waited for NATS", { path, error: messageOf(error) });
    return [];
  }
}

function toChange(entry: unknown): LocalChange | null {
  if (typeof entry !== "object" || entry === null) return null;
  const { key, value, id, commandedAt } = entry as Partial<LocalChange>;
  if (typeof key !== "string" || typeof id !== "string" || typeof commandedAt !== "number") return null;
  if (value !== null && (typeof value !== "string" || value.length > MAX_VALUE_BYTES)) return null;
  return { key, value, id, commandedAt };
}

/** Writes atomically, readable by the owner only. */
export async function putInPlace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.new`;
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
