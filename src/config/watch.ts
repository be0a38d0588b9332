// Watches the config file and reports when its content has changed, however it is written.
//
// Each look reads the content:  as reported last, or no file  -> do nothing
//                               new                           -> look again after `settleMs`
//                               new, twice the same           -> report it

import { createHash } from "node:crypto";
import { type FSWatcher, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { startTicks } from "#lib/ticks.ts";

interface ConfigWatch {
  readonly close: () => void;
}

interface WatchOptions {
  /** Called once for each new content; must not throw. */
  readonly onChange: () => void;
  readonly pollMs?: number;
  readonly settleMs?: number;
}

const POLL_MS = 2000;
const SETTLE_MS = 200;
const MAX_READ_BYTES = 12 * 1024 * 1024;
/** The coarsest resolution of file times: a younger file may be written again without a change of its time. */
const COARSEST_TIME_MS = 2000;

/**
 * Resolves once it is watching: after that, no change is missed. Directory events only make it faster. Polling finds the
 * changes that events miss: behind symbolic links, or when the directory itself is replaced. A missing or unreadable file is
 * not a change. Files that references name are not watched.
 */
export async function watchConfig(
  path: string,
  { onChange, pollMs = POLL_MS, settleMs = SETTLE_MS }: WatchOptions,
): Promise<ConfigWatch> {
  const file = resolve(path);
  const readDigest = createDigestReader(file);
  let told = await readDigest();
  let seen = told;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isLooking = false;
  let isClosed = false;

  function lookSoon(): void {
    if (!isClosed) timer ??= setTimeout(() => void look(), settleMs); // Never rejects.
  }

  async function look(): Promise<void> {
    timer = null;
    if (isLooking) return lookSoon();
    isLooking = true;
    const digest = await readDigest();
    isLooking = false;
    if (isClosed) return;
    const isSettled = digest === seen;
    seen = digest;
    if (digest === null || digest === told) return;
    if (!isSettled) return lookSoon();
    told = digest;
    onChange();
  }

  const directory = createDirectoryWatch(dirname(file), lookSoon);
  const endPolls = startTicks(pollMs, () => {
    void directory.attach(); // Never rejects.
    if (timer === null) void look(); // Never rejects.
  });
  await directory.attach();
  lookSoon(); // Finds changes between the first look and the start of the watch.
  return {
    close: () => {
      isClosed = true;
      endPolls();
      if (timer !== null) clearTimeout(timer);
      directory.close();
    },
  };
}

interface DirectoryWatch {
  /** Watches the directory that has this name now, unless it is watched already. */
  readonly attach: () => Promise<void>;
  readonly close: () => void;
}

function createDirectoryWatch(directory: string, onEvent: () => void): DirectoryWatch {
  let watcher: FSWatcher | null = null;
  let watched: string | null = null;
  let isClosed = false;

  function detach(): void {
    watcher?.close();
    watcher = null;
    watched = null;
  }

  async function attach(): Promise<void> {
    const identity = await identify(directory);
    if (isClosed || identity === watched) return;
    detach();
    if (identity === null) return;
    try {
      const opened = watch(directory, onEvent);
      opened.on("error", () => {
        if (opened === watcher) detach();
      });
      watcher = opened;
      watched = identity;
    } catch {
      // Polling finds the changes meanwhile, and calls `attach` again.
    }
  }

  return {
    attach,
    close: () => {
      isClosed = true;
      detach();
    },
  };
}

/** Includes the time of birth, because inode numbers are reused; null: there is no such directory. */
async function identify(directory: string): Promise<string | null> {
  try {
    const { dev, ino, birthtimeNs } = await stat(directory, { bigint: true });
    return `${dev}:${ino}:${birthtimeNs}`;
  } catch {
    return null;
  }
}

/** Returns a digest of the content; null: no readable file. Does not read an unmodified file again. */
function createDigestReader(file: string): () => Promise<string | null> {
  let last = { version: "", digest: "" };

  return async () => {
    try {
      const found = await stat(file, { bigint: true });
      if (!found.isFile()) return null;
      const { dev, ino, size, mtimeNs, ctimeNs, ctimeMs } = found;
      const version = `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
      if (version === last.version) return last.digest;
      const isAtRest = Date.now() - Number(ctimeMs) > COARSEST_TIME_MS;
      const digest = size > MAX_READ_BYTES ? `too large: ${version}` : digestOf(await readFile(file));
      last = { version: isAtRest ? version : "", digest };
      return digest;
    } catch {
      return null;
    }
  };
}

function digestOf(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("base64");
}
