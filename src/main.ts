// From the command line to a command; the only place that ends the process.
//
// What only one command needs is loaded by it: loading all of it takes three times as long as any other command does.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import { Command, CommanderError } from "commander";
import { toCommandWords } from "#cli/command-words.ts";
import { findConfig } from "#cli/config-path.ts";
import { DELIVERY_COMMANDS, LOGS_COMMAND } from "#cli/deliveries.ts";
import { EXIT, toExitCode } from "#cli/exit-codes.ts";
import { NOBODY_READS, type Output } from "#cli/output.ts";
import { LETTER_COMMANDS } from "#cli/letters.ts";
import { runReference } from "#cli/reference.ts";
import { RELOAD_COMMAND } from "#cli/reload.ts";
import { runRemote } from "#cli/remote.ts";
import { type Flags, type RemoteCommand, toHelp } from "#cli/remote-command.ts";
import { REPLAY_COMMANDS } from "#cli/replays.ts";
import { SERVICE_COMMANDS } from "#cli/service.ts";
import { STATUS_COMMAND } from "#cli/status.ts";
import { SUBSCRIPTION_COMMANDS } from "#cli/subscriptions.ts";
import { refuseUnknownCommand } from "#cli/unknown-command.ts";
import { codeOf, messageOf, RelayError } from "#lib/errors.ts";
import { createLineWriter } from "#lib/line-writer.ts";
import { useSmallHeap } from "#lib/small-heap.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { isJournal, type Priority, withPriority } from "#systemd/journal.ts";
import { openNotify } from "#systemd/notify.ts";
import { watchdogIntervalMs } from "#systemd/watchdog.ts";

// A compiled binary goes on after an error that nobody caught: it must not.
process.on("uncaughtException", crash);
process.on("unhandledRejection", crash);

function crash(error: unknown): never {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    const report = `relay ${VERSION} (${COMMIT}) has a bug, please report it:\n${text}\n`;
    writeSync(2, forJournal(2, report, "critical"));
  } finally {
    process.exit(EXIT.bug);
  }
}

/** How long the last log lines may take. */
const FLUSH_MS = 1000;

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

/** As it is, unless the journal of systemd reads it. */
function forJournal(fd: 1 | 2, text: string, priority: Priority): string {
  return isJournal(fd, process.env) ? withPriority(text, priority) : text;
}

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

interface CheckFlags {
  readonly config?: string;
  readonly withoutSecrets?: boolean;
  readonly connect?: boolean;
  readonly json?: boolean;
}

function createProgram(finish: (exitCode: number) => void): Command {
  const program = new Command("relay")
    .description("Pushes NATS JetStream messages to HTTP callbacks")
    .version(`relay ${VERSION} (${COMMIT})`)
    .helpCommand("help [command]", "show the help of a command")
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
    .exitOverride()
    .enablePositionalOptions()
    .showHelpAfterError("(relay --help shows what there is)")
    .addHelpText("beforeAll", refuseUnknownCommand);
  const withConfig = (command: Command) =>
    command.option(
      "-c, --config <file>",
      "the config file (default: ./relay.config.json, then /etc/relay/relay.config.json)",
    );

  withConfig(program.command("run"))
    .description("run the relay until SIGTERM or Ctrl-C")
    .action(async ({ config }: { config?: string }) => {
      const log = createLineWriter(1, (dropped) =>
        forJournal(1, JSON.stringify({ level: "warn", message: "Log lines lost", dropped }), "warn"),
      );
      const isJournalled = isJournal(1, process.env);
      try {
        const { run } = await import("#cli/run.ts");
        const exitCode = await run({
          configPath: findConfig(config),
          env: process.env,
          stopping: stopping.signal,
          onHangup: (listener) => (onHangup = listener),
          write: (line, level) => log.write(isJournalled ? withPriority(line, level) : line),
          notify: openNotify(process.env),
          watchdogMs: watchdogIntervalMs(process.env, { pid: process.pid }),
        });
        finish(exitCode);
      } finally {
        await log.flush(FLUSH_MS);
      }
    });
  withConfig(program.command("check"))
    .description("check the config file, and say every fault of it")
    .option("--without-secrets", "take references to secrets as given, for use in CI")
    .option("--connect", "ask NATS too what would become of it; nothing is changed there")
    .option("--json", "print the findings as JSON")
    .action(async ({ config, ...flags }: CheckFlags) => {
      const { withoutSecrets = false, connect = false, json = false } = flags;
      const options = { withoutSecrets, connect, json, env: process.env, stopping: stopping.signal };
      const { runCheck } = await import("#cli/check.ts");
      finish(await runCheck({ path: findConfig(config), ...options }, io));
    });
  program
    .command("schema")
    .description("print the JSON Schema of the config file")
    .action(async () => {
      const { runSchema } = await import("#cli/schema.ts");
      finish(runSchema(io));
    });
  program
    .command("init")
    .description("write a first config file")
    .argument("[file]", "where to", "relay.config.json")
    .option("--force", "replace a file that is there")
    .option("--print", "print it instead")
    .action(async (file: string, { force, print }: { force?: boolean; print?: boolean }) => {
      const { runInit } = await import("#cli/init.ts");
      finish(await runInit({ path: file, force: force ?? false, print: print ?? false }, io));
    });
  program
    .command("demo")
    .description("show all of it in a minute, with a nats-server and a receiver of its own")
    .option("-n, --count <number>", "end after this many messages (default: on Ctrl-C)", toCount)
    .action(async ({ count }: { count?: number }) => {
      onHangup = () => stopping.abort(NOBODY_READS);
      const { runDemo } = await import("#cli/demo.ts");
      finish(await runDemo({ count: count ?? null, stopping: stopping.signal, env: process.env }, io));
    });
  const addRemote = (parent: Command, remote: RemoteCommand) => {
    const command = withConfig(parent.command(remote.usage))
      .description(remote.description)
      .option("--url <url>", "the relay at this URL, with the token in RELAY_TOKEN, instead of the one here")
      .addHelpText("after", toHelp(remote));
    for (const { flags, description } of remote.options) command.option(flags, description);
    command.action(async () => {
      const options = { args: command.args, flags: command.opts<Flags>(), env: process.env };
      finish(await runRemote(remote, { ...options, stopping: stopping.signal }, io));
    });
    return command;
  };
  const addGroup = (
    group: Command,
    { about, remotes }: { about: string; remotes: typeof LETTER_COMMANDS },
  ) => {
    group.description(about).helpCommand("help [command]", "show the help of a command");
    for (const remote of remotes) addRemote(group, remote);
    return group;
  };
  addRemote(program, STATUS_COMMAND);
  addRemote(program, RELOAD_COMMAND);
  addGroup(program.command("subscriptions"), {
    about: "list, show and command the subscriptions of the running relay",
    remotes: SUBSCRIPTION_COMMANDS,
  });
  addGroup(addRemote(program, LOGS_COMMAND).enablePositionalOptions(), {
    about: LOGS_COMMAND.description,
    remotes: DELIVERY_COMMANDS,
  });
  const letters = addGroup(program.command("dlq"), {
    about: "list, show, replay and purge the dead letters of the running relay",
    remotes: LETTER_COMMANDS,
  });
  addGroup(letters.command("replays"), {
    about: "list, show and command the replays of dead letters",
    remotes: REPLAY_COMMANDS,
  });
  const service = program
    .command("service")
    .description("print, install or uninstall the systemd service")
    .helpCommand("help [command]", "show the help of a command");
  for (const { usage, description, changes, run } of SERVICE_COMMANDS) {
    const command = service.command(usage).description(description);
    if (changes) command.option("--dry-run", "say what would be done, and do nothing");
    command.action(async ({ dryRun }: { dryRun?: boolean }) =>
      finish(await run({ isDryRun: dryRun ?? false, binary: process.execPath }, io)),
    );
  }
  program
    .command("reference")
    .argument("[format]", "man, bash, zsh or fish", "man")
    .description("print the manual page, or the completions of a shell")
    .action((format: string) => finish(runReference(program, format, io)));
  program
    .command("version")
    .description("print the version and the commit")
    .action(() => {
      io.stdout(`relay ${VERSION} (${COMMIT})\n`);
      finish(0);
    });
  return program;
}

function toCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1_000_000) {
    throw new RelayError("usage", `--count takes a whole number from 1 to 1000000, found "${text}"`);
  }
  return count;
}

async function main(argv: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    await createProgram((code) => (exitCode = code)).parseAsync(argv);
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (!(error instanceof RelayError)) return crash(error);
    io.stderr(forJournal(2, `${messageOf(error)}\n`, "error"));
    return toExitCode(error.code);
  }
}

const argv = toCommandWords(process.argv);
if (argv[2] === "run") useSmallHeap(argv, process.env);
process.exit(await main(argv));
