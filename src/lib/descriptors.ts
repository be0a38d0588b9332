// Detects when this process is out of file descriptors, and whether a failure was caused by that.

import { closeSync, openSync, readFileSync } from "node:fs";
import { codeOf } from "./errors.ts";

const CODES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);
/** Reserved for journals, look-ups, NATS and the listener: callbacks leave this many free, or a 32nd of a low limit. */
const RESERVED = 32;
/** For this long after a shortage, failures are blamed on it: a descriptor may have been closed since. */
const REMEMBERED_MS = 1000;
/** Time between two calls of the listeners. */
const TELL_INTERVAL_MS = 250;
const OUT_OF_DESCRIPTORS = Object.assign(new Error("Too many open files"), { code: "EMFILE" });

/** null: not known yet. */
let limit: number | null = null;
let foundAt = Number.NEGATIVE_INFINITY;
let toldAt = Number.NEGATIVE_INFINITY;
const listeners = new Set<() => void>();

/** Calls `listener` when none is left, so that it can close spare ones. Returns a function that removes it. */
export function onDescriptorFault(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function note(fault: Error): Error {
  foundAt = performance.now();
  if (foundAt - toldAt < TELL_INTERVAL_MS) return fault;
  toldAt = foundAt;
  queueMicrotask(() => {
    for (const listener of listeners) listener();
  });
  return fault;
}

export function isOutOfDescriptors(error: unknown): boolean {
  return CODES.has(codeOf(error));
}

/** Opens a descriptor as a test, which takes 2 µs. Returns the error if none is left for another connection, else null. */
export function findDescriptorFault(): Error | null {
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    limit ??= readLimit();
    // The system assigns the lowest free number.
    if (descriptor < limit - Math.min(RESERVED, Math.floor(limit / RESERVED))) return null;
    return note(OUT_OF_DESCRIPTORS);
  } catch (error) {
    return error instanceof Error && isOutOfDescriptors(error) ? note(error) : null;
  }
}

/**
 * Why a connection or a look-up failed. Without a descriptor Bun reports "connection refused" or "name server failed": any
 * failure during or just after a shortage counts as that.
 */
export function toDescriptorFault<E>(error: E): E | Error {
  if (isOutOfDescriptors(error)) return error;
  const fault = findDescriptorFault();
  if (fault !== null) return fault;
  return performance.now() - foundAt < REMEMBERED_MS ? OUT_OF_DESCRIPTORS : error;
}

/** Read at the first use, because Bun raises the soft limit to the hard one. Infinity: it cannot be read. */
function readLimit(): number {
  const [, text = ""] = /^Max open files +(\d+)/mu.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return text === "" ? Infinity : Number(text);
}
