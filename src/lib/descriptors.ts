// File descriptors of this process: whether there is one for another connection, and whether a failure was for want of one.

import { closeSync, openSync, readFileSync } from "node:fs";
import { codeOf } from "./errors.ts";

const CODES: ReadonlySet<string> = new Set(["EMFILE", "ENFILE"]);
/** For journals, look-ups, NATS and the listener: connections to callbacks leave them free, or a 32nd where there are few. */
const RESERVED = 32;
/** One that was closed in the meantime hides why the call before it failed. */
const REMEMBERED_MS = 1000;
/** Between two times that those with descriptors to spare are told. */
const TELL_INTERVAL_MS = 250;
const OUT_OF_DESCRIPTORS = Object.assign(new Error("Too many open files"), { code: "EMFILE" });

/** Null: not known yet. */
let limit: number | null = null;
let foundAt = Number.NEGATIVE_INFINITY;
let toldAt = Number.NEGATIVE_INFINITY;
const listeners = new Set<() => void>();

/** `listener` closes what can be done without, whenever there is none left. Returns how to end that. */
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

/** Opens one, which takes 2 µs: the error if there is none for another connection, else null. */
export function findDescriptorFault(): Error | null {
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    limit ??= readLimit();
    // The system gives out the lowest number that is free.
    if (descriptor < limit - Math.min(RESERVED, Math.floor(limit / RESERVED))) return null;
    return note(OUT_OF_DESCRIPTORS);
  } catch (error) {
    return error instanceof Error && isOutOfDescriptors(error) ? note(error) : null;
  }
}

/**
 * Why a connection or a look-up failed. Bun calls the want of a descriptor "connection refused" there, or "name server
 * failed": what fails while, or just after, there was none counts as that.
 */
export function toDescriptorFault<E>(error: E): E | Error {
  if (isOutOfDescriptors(error)) return error;
  const fault = findDescriptorFault();
  if (fault !== null) return fault;
  return performance.now() - foundAt < REMEMBERED_MS ? OUT_OF_DESCRIPTORS : error;
}

/** Not before the first use: Bun raises the soft limit to the hard one. Infinity: it cannot be read. */
function readLimit(): number {
  const [, text = ""] = /^Max open files +(\d+)/mu.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
  return text === "" ? Infinity : Number(text);
}
