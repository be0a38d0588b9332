// Sets engine options for a small process with little idle work. The engine reads them before the program starts, so the
// program replaces itself once, in place.

import { readFileSync } from "node:fs";
import { messageOf } from "./errors.ts";

/** Variables that the operator has set win over these. */
export const ENGINE_OPTIONS: Readonly<Record<string, string>> = {
  /**
   * The memory that the engine assumes when it sizes its heap, not a limit. By default it is the machine's, and a relay on a
   * large host retains garbage. Measured: 10 % less memory than on a large host, at the same speed. Half of this value saves
   * a further 10 % and costs a quarter of the rate at 16 KB.
   */
  BUN_JSC_forceRAMSize: String(256 * 1024 * 1024),
  /** In milliseconds. The default collects garbage each second, even if only a ping made it. Growth triggers a collection anyway. */
  BUN_GC_TIMER_INTERVAL: "30000",
  /** In milliseconds. By default each turn of the event loop wakes a thread that looks for free pages, which doubles its cost. */
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: "5000",
  /**
   * Calls of a function, times 15, before its last compilation: four times the engine's own number. At 100 messages a second
   * that compilation takes a tenth of all CPU time for minutes and makes nothing faster. At thousands it starts a second later.
   */
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "400000",
};

/**
 * Replaces the process by the same program with the options set. Returns null if that is not needed, or the reason if it is
 * impossible (a system call filter, a noexec mount, an emulator, an explicit loader). The caller then continues without
 * them.
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
    // A compiled binary calls itself "bun": show its path in `ps` and kernel messages.
    process.execve(process.execPath, [process.execPath, ...given], { ...ENGINE_OPTIONS, ...env });
    return null;
  } catch (error) {
    return messageOf(error);
  } finally {
    restoreWarnings();
  }
}

/** Counts the program's own name: a loader (`ld.so`) has more arguments, and is then the executable. */
function countArguments(): number {
  return readFileSync("/proc/self/cmdline", "utf8").split("\0").length - 1;
}

/** Suppresses the warning that `execve` is experimental, which the engine prints a tick after a refused call. */
function holdWarnings(): () => void {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  return () => setImmediate(() => listeners.forEach((listener) => process.on("warning", listener)));
}
