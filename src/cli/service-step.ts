// Runs changes of the host as steps. A step that is done already is skipped.

import { existsSync } from "node:fs";
import { messageOf, RelayError } from "#lib/errors.ts";
import type { Output } from "./output.ts";

export interface Step {
  /** What it does, as an order: "Write /etc/…". */
  readonly text: string;
  readonly isDone: () => boolean;
  readonly run: () => void;
}

interface StepsOptions {
  readonly isDryRun: boolean;
  /** "install the service". */
  readonly what: string;
}

/** The package's own unit: what dpkg put there only dpkg takes away. */
const PACKAGED_UNIT = "/usr/lib/systemd/system/relay.service";
const COMMAND_LIMIT_MS = 90_000;

/** Resolves with how many steps were, or would be, taken. Rejects with a RelayError at the first that fails. */
export async function runSteps(
  steps: readonly Step[],
  { isDryRun, what }: StepsOptions,
  io: Output,
): Promise<{ readonly changed: number }> {
  if (!isDryRun) requireHost(what);
  let changed = 0;
  for (const step of steps) {
    if (step.isDone()) continue;
    changed += 1;
    io.stdout(`${isDryRun ? "Would: " : ""}${step.text}\n`);
    if (isDryRun) continue;
    try {
      step.run();
    } catch (error) {
      throw new RelayError("unavailable", `Cannot ${what}: ${messageOf(error)}`, { cause: error });
    }
  }
  if (isDryRun && changed === 0) io.stdout("Nothing to do\n");
  return { changed };
}

function requireHost(what: string): void {
  const refuse = (why: string) => {
    throw new RelayError("missing-requirement", `Cannot ${what}: ${why}`);
  };
  if (process.getuid?.() !== 0) refuse("that needs root; --dry-run shows what it would do");
  if (!existsSync("/run/systemd/system")) refuse("systemd does not run here");
  if (existsSync(PACKAGED_UNIT)) refuse("it came with a package, which the package manager looks after");
}

/** What it printed. Throws where it fails. */
export function runCommand(command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    stdin: "ignore",
    timeout: COMMAND_LIMIT_MS,
  });
  const said = stderr.toString().trim();
  if (exitCode !== 0) throw new Error(`${command.join(" ")} failed${said === "" ? "" : `: ${said}`}`);
  return stdout.toString().trim();
}

/** Whether it ends with 0; false also where there is no such program. */
export function succeeds(command: readonly string[]): boolean {
  try {
    runCommand(command);
    return true;
  } catch {
    return false;
  }
}
