// A build-time macro: bundles a script or a style sheet, with all that it imports, into one text.

/** `entry` is relative to this file; throws what the bundler said. */
export function bundle(entry: string): string {
  const path = new URL(entry, import.meta.url).pathname;
  // A macro must not call Bun.build: it would wait for itself.
  const options = ["--target=browser", "--format=esm", "--minify", "--env=disable"];
  const result = Bun.spawnSync([process.execPath, "build", path, ...options]);
  if (result.exitCode !== 0) throw new Error(`Cannot bundle ${path}: ${result.stderr.toString()}`);
  return result.stdout.toString();
}
