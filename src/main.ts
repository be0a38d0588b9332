// From the command line to a command; the only place that ends the process.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { CommanderError } from "commander";
import { toCommandWords } from "#cli/command-words.ts";
import { EXIT, toExitCode } from "#cli/exit-codes.ts";
import { NOBODY_READS, type Output } from "#cli/output.ts";
import { createProgram } from "#cli/program.ts";
import { codeOf, messageOf, RelayError } from "#lib/errors.ts";
import { useSmallHeap } from "#lib/small-heap.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { forJournal } from "#systemd/journal.ts";

// A compiled binary goes on after an error that nobody caught: it must not.
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

function crash(error: unknown): never {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    const report = `relay ${VERSION} (${COMMIT}) has a bug, please report it:\n${text}\n`;
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

const io: Output = { stdout: (content) => print(1, content), stderr: (text) => print(2, text) };

/** Only of these is EIO no fault of a disk: they were closed. */
const terminals: ReadonlySet<number> = new Set([1, 2].filter(isatty));

/** What nobody reads any more, as in `relay schema | head -1` or on a terminal that was closed, is no error, and an end. */
function print(fd: 1 | 2, content: string | Uint8Array): void {
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let offset = 0; offset < bytes.length;) offset += writeSync(fd, bytes, offset);
  } catch (error) {
    const code = codeOf(error);
    if (code !== "EPIPE" && !(code === "EIO" && terminals.has(fd))) throw error;
    stopping.abort(NOBODY_READS);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    const program = createProgram({
      io,
      env: process.env,
      stopping,
      onHangup: (listener) => (onHangup = listener),
      finish: (code) => (exitCode = code),
    });
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (!(error instanceof RelayError)) return crash(error);
    io.stderr(forJournal(2, process.env)(`${messageOf(error)}\n`, "error"));
    return toExitCode(error.code);
  }
}

const argv = toCommandWords(process.argv);
if (argv[2] === "run") useSmallHeap(argv, process.env);
process.exit(await main(argv));
