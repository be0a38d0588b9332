// Keeps the process small: the engine sizes its heap by the memory of the machine, which makes a relay on a large host keep
// garbage for nothing. It reads its options before the program starts, so the program replaces itself once, in place.

export const SMALL_HEAP_OPTION = "BUN_JSC_forceRAMSize";
/**
 * What the engine is to believe; no limit on what it may use. Measured: a tenth less memory than a large host would lead
 * to, at the same speed; half as much again saves a further tenth and costs a quarter of the rate at 16 KB.
 */
export const SMALL_HEAP_BYTES = String(256 * 1024 * 1024);

/** Replaces the process by itself with the option set; returns where it is set, or where this is not the compiled binary. */
export function useSmallHeap(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): void {
  const isCompiled = argv[1]?.startsWith("/$bunfs/") ?? false;
  if (!isCompiled || env[SMALL_HEAP_OPTION] !== undefined || process.execve === undefined) return;
  // A compiled binary knows itself as "bun": `ps` and the kernel's messages are to show its path.
  process.execve(process.execPath, [process.execPath, ...argv.slice(2)], {
    ...env,
    [SMALL_HEAP_OPTION]: SMALL_HEAP_BYTES,
  });
}
