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
 * Says why the directory must not be used; null: it is safe, or missing. It and everything in it must belong to root or to
 * this user, must not be writable by others, and must not be a symbolic link. Two exceptions for the directory itself: a
 * link that root or this user owns, as systemd makes one, and the root of a mounted tmpfs, which others may write to but
 * which is sticky: the search finds whatever they made there.
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
  // Others may connect to a socket but not change it, and the mode of a link means nothing.
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

/** null: it is missing, or cannot be read; whoever uses it later reports that. */
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
