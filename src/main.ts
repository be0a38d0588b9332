// From the command line to a command; the only place that ends the process.

import { writeSync } from "node:fs";
import { CommanderError } from "commander";
import { toCommandWords } from "#cli/command-words.ts";
import { createPrint, EXIT, NOBODY_READS, type Output, toExitCode } from "#cli/output.ts";
import { createProgram } from "#cli/program.ts";
import { messageOf, RelayError } from "#lib/errors.ts";
import { cleanLines } from "#lib/printable.ts";
import { useEngineOptions } from "./lib/engine.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { forJournal } from "#systemd/journal.ts";

const argv = toCommandWords(process.argv);
// Before signals are listened for: one that was heard would be lost with the program that is replaced.
const engineFault = argv[2] === "run" ? useEngineOptions(process.argv, process.env) : null;

// A compiled binary goes on after an error that nobody caught: it must not.
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

function crash(error: unknown): never {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    const report = `relay ${VERSION} (${COMMIT}) has a bug, please report it:\n${cleanLines(text)}\n`;
    writeSync(2, forJournal(2, process.env)(report, "critical"));
  } finally {
    process.exit(EXIT.bug);
  }
}

const stopping = new AbortController();
let isSignalled = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    if (isSignalled) process.exit(EXIT.failure);
    isSignalled = true;
    stopping.abort(signal);
  });
}
let onHangup: () => void = () => undefined;
process.on("SIGHUP", () => onHangup());

const print = createPrint(() => stopping.abort(NOBODY_READS));
const io: Output = { stdout: (content) => print(1, content), stderr: (text) => print(2, text) };

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    const program = createProgram({
      io,
      env: process.env,
      stopping,
      engineFault,
      onHangup: (listener) => (onHangup = listener),
      finish: (code) => (exitCode = code),
    });
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (!(error instanceof RelayError)) return crash(error);
    io.stderr(forJournal(2, process.env)(`${cleanLines(messageOf(error))}\n`, "error"));
    return toExitCode(error.code);
  }
}

process.exit(await main(argv));
