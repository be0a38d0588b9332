// Checks that nobody else can change the state directory before it is used.

import { lstatSync, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "./errors.ts";

/** The bits for writing by others than the owner. */
const SHARED_WRITE = 0o022;
/** The sticky bit: others may create files but not replace or remove those of other users. */
const STICKY = 0o1000;
/** Relay's files are at most two levels deep. */
const MAX_DEPTH = 2;

/**
 * Why it must not be used: it, or something in it, belongs to neither root nor this user, may be written by others, or is a
 * symbolic link; null: nothing is wrong, or nothing is there yet. The directory itself may be reached by a link of root's or
 * of this user's, as systemd makes one; it may also be the root of a tmpfs of its own, which is open to all, but sticky:
 * whatever others made there is found.
 */
export function findStateFault(directory: string): string | null {
  const fault =
    faultOf(
      directory,
      statIfThere(() => lstatSync(directory)),
      { mayBeLink: true, mayBeShared: true },
    ) ??
    faultOf(
      directory,
      statIfThere(() => statSync(directory)),
      {
        mayBeLink: false,
        mayBeShared: isOwnMount(directory),
      },
    );
  return fault ?? findFaultIn(directory, 1);
}

function findFaultIn(directory: string, depth: number): string | null {
  for (const name of namesIn(directory)) {
    const path = join(directory, name);
    const found = statIfThere(() => lstatSync(path));
    const fault = faultOf(path, found, { mayBeLink: false, mayBeShared: false });
    if (fault !== null) return fault;
    const inside = found?.isDirectory() === true && depth < MAX_DEPTH ? findFaultIn(path, depth + 1) : null;
    if (inside !== null) return inside;
  }
  return null;
}

function faultOf(
  path: string,
  found: Stats | null,
  { mayBeLink, mayBeShared }: { mayBeLink: boolean; mayBeShared: boolean },
): string | null {
  if (found === null) return null;
  if (found.isSymbolicLink() && !mayBeLink) return `${path} is a symbolic link: remove it`;
  const own = process.geteuid?.() ?? 0;
  if (found.uid !== 0 && found.uid !== own) {
    return `${path} belongs to the user ${found.uid}, allowed: root, or ${own}, as whom the relay runs`;
  }
  // Connecting to a socket does not change it, and the mode of a link means nothing.
  if (mayBeShared || found.isSocket() || found.isSymbolicLink() || (found.mode & SHARED_WRITE) === 0)
    return null;
  const mode = (found.mode & 0o7777).toString(8).padStart(4, "0");
  return `${path} may be written by others (mode ${mode}): chmod go-w it, once you know what is in it`;
}

function isOwnMount(directory: string): boolean {
  const found = statIfThere(() => statSync(directory));
  const parent = statIfThere(() => statSync(join(realpathSync(directory), "..")));
  const isMounted = found !== null && parent !== null && found.dev !== parent.dev;
  return isMounted && found.uid === 0 && (found.mode & STICKY) !== 0;
}

/** Null: it is missing, or cannot be read, which its later use reports. */
function statIfThere(look: () => Stats): Stats | null {
  try {
    return look();
  } catch (error) {
    if (codeOf(error) === "") throw error;
    return null;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (codeOf(error) === "") throw error;
    return [];
  }
}
