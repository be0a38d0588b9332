// Options of the engine, for a small process that is cheap at rest. The engine reads them before the program starts, so the
// program replaces itself once, in place.

import { readFileSync } from "node:fs";
import { messageOf } from "./errors.ts";

/** What an operator sets of these stays. */
export const ENGINE_OPTIONS: Readonly<Record<string, string>> = {
  /**
   * Else the engine sizes its heap by the memory of the machine, and a relay on a large host keeps garbage for nothing. What
   * it is to believe; no limit on what it may use. Measured: a tenth less memory than a large host would lead to, at the same
   * speed; half as much again saves a further tenth and costs a quarter of the rate at 16 KB.
   */
  BUN_JSC_forceRAMSize: String(256 * 1024 * 1024),
  /** In milliseconds. Else whatever was allocated, if only for a ping, is collected each second. Growth is by itself. */
  BUN_GC_TIMER_INTERVAL: "30000",
  /** In milliseconds. Else each turn of the event loop wakes a thread that looks for free pages, which costs what the turn does. */
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "5000",
};

/**
 * Replaces the process by itself with the options set. Returns where that is not needed (null), or not possible (the
 * reason): a filter of system calls, a mount without execution, an emulator, a loader that was called by name. The program
 * then goes on as it is.
 */
export function useEngineOptions(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | null {
  const isCompiled = argv[1]?.startsWith("/$bunfs/") ?? false;
  const areSet = Object.keys(ENGINE_OPTIONS).every((name) => env[name] !== undefined);
  if (!isCompiled || areSet || process.execve === undefined) return null;
  const restoreWarnings = holdWarnings();
  try {
    const given = argv.slice(2);
    if (countArguments() !== given.length + 1) return "it was started by a loader or an emulator";
    // A compiled binary knows itself as "bun": `ps` and the kernel's messages are to show its path.
    process.execve(process.execPath, [process.execPath, ...given], { ...ENGINE_OPTIONS, ...env });
    return null;
  } catch (error) {
    return messageOf(error);
  } finally {
    restoreWarnings();
  }
}

/** With the program's own name: more than the program sees where a loader (`ld.so`) runs it, which is then the executable. */
function countArguments(): number {
  return readFileSync("/proc/self/cmdline", "utf8").split("\0").length - 1;
}

/** A refused `execve` leaves a warning that it is experimental, which the engine prints a tick later. */
function holdWarnings(): () => void {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  return () => setImmediate(() => listeners.forEach((listener) => process.on("warning", listener)));
}
