// Defines the commands and their options for commander; the manual page is made from them too.
//
// A command whose code is large, or needs large packages, loads it when it is called: loaded for all of them, it tripled
// the time in which the small ones answer.

import { Command } from "commander";
import { RelayError } from "#lib/errors.ts";
import { createLineWriter } from "#lib/line-writer.ts";
import { clean } from "#lib/printable.ts";
import { COMMIT, VERSION } from "#lib/version.ts";
import { forJournal } from "#systemd/journal.ts";
import { watchdogIntervalMs, openNotify } from "#systemd/notify.ts";
import { helpOf } from "./command-help.ts";
import { findConfig } from "./config-path.ts";
import { DELIVERY_COMMANDS, LOGS_COMMAND } from "./deliveries.ts";
import { LETTER_COMMANDS } from "./letters.ts";
import { NOBODY_READS, type Output } from "./output.ts";
import { RELOAD_COMMAND } from "./reload.ts";
import { runRemote } from "./remote.ts";
import { type Flags, type RemoteCommand } from "./remote-command.ts";
import { REPLAY_COMMANDS } from "./replays.ts";
import { SERVICE_COMMANDS } from "./service.ts";
import { STATUS_COMMAND } from "./status.ts";
import { SUBSCRIPTION_COMMANDS } from "./subscriptions.ts";
import { refuseUnknownCommand } from "./command-words.ts";

interface ProgramOptions {
  readonly io: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborting it ends the command; the reason is the name of the signal. */
  readonly stopping: AbortController;
  /** Why the options of the engine could not be set, a small heap among them; null: they are, or need not be. */
  readonly engineFault: string | null;
  /** What a SIGHUP does from now on. */
  readonly onHangup: (listener: () => void) => void;
  /** Told the exit code of the command. */
  readonly finish: (exitCode: number) => void;
}

/** How long the last log lines may take. */
const FLUSH_MS = 1000;

interface CheckFlags {
  readonly config?: string;
  readonly withoutSecrets?: boolean;
  readonly connect?: boolean;
  readonly strict?: boolean;
  readonly json?: boolean;
}

export function createProgram(options: ProgramOptions): Command {
  const { io } = options;
  const program = new Command("relay")
    .description("Pushes NATS JetStream messages to HTTP callbacks")
    .version(`relay ${VERSION} (${COMMIT})`)
    .helpCommand("help [command]", "show the help of a command")
    .configureOutput({ writeOut: io.stdout, writeErr: io.stderr })
    .exitOverride()
    .enablePositionalOptions()
    .addHelpText("beforeAll", refuseUnknownCommand);
  addRunningCommands(program, options);
  const remotes = addRemoteCommands(program, options);
  addServiceCommands(program, options);
  addPrintingCommands(program, options);
  addCompletion(program, options);
  completeHelp(program, remotes);
  for (const command of program.commands) {
    const takesConfig = command.options.some(({ long }) => long === "--config");
    const isBare = command.commands.length === 0 && command.registeredArguments.length === 0;
    if (takesConfig && isBare) refuseFile(command);
  }
  return program;
}

function withConfig(command: Command): Command {
  return command.option(
    "-c, --config <file>",
    "the config file (default: ./relay.config.json, then /etc/relay/relay.config.json)",
  );
}

/** Those that need no relay. */
function addRunningCommands(
  program: Command,
  { io, env, stopping, engineFault, onHangup, finish }: ProgramOptions,
): void {
  withConfig(program.command("run"))
    .description("run the relay until SIGTERM or Ctrl-C")
    .action(async ({ config }: { config?: string }) => {
      const toLine = forJournal(1, env);
      const log = createLineWriter(1, (dropped) =>
        toLine(JSON.stringify({ level: "warn", message: "Log lines lost", dropped }), "warn"),
      );
      try {
        const { run } = await import("./run.ts");
        const exitCode = await run({
          configPath: findConfig(config),
          env,
          stopping: stopping.signal,
          engineFault,
          onHangup,
          write: (line, level) => log.write(toLine(line, level)),
          isTerminal: process.stdout.isTTY,
          notify: openNotify(env),
          watchdogMs: watchdogIntervalMs(env, { pid: process.pid }),
        });
        finish(exitCode);
      } finally {
        await log.flush(FLUSH_MS);
      }
    });
  withConfig(program.command("check"))
    .description("check the config file and report every fault")
    .option("--without-secrets", "do not read the secrets, for use in CI; with --connect only those of nats")
    .option("--connect", "check against NATS too; nothing is changed there")
    .option("--strict", "fail (exit code 1) if there are warnings")
    .option("--json", "print JSON, faults included")
    .action(async ({ config, ...flags }: CheckFlags) => {
      const { withoutSecrets = false, connect = false, strict = false, json = false } = flags;
      const options = { withoutSecrets, connect, strict, json, env, stopping: stopping.signal };
      const { runCheck } = await import("./check.ts");
      finish(await runCheck({ path: findConfig(config), ...options }, io));
    });
  program
    .command("schema")
    .description("print the JSON Schema of the config file")
    .action(async () => {
      const { runSchema } = await import("./schema.ts");
      finish(runSchema(io));
    });
  program
    .command("init")
    .description("write a first config file")
    .argument("[file]", "path of the file", "relay.config.json")
    .option("--force", "replace an existing file")
    .option("--print", "print it instead of writing it")
    .action(async (file: string, { force, print }: { force?: boolean; print?: boolean }) => {
      const { runInit } = await import("./init.ts");
      finish(await runInit({ path: file, force: force ?? false, print: print ?? false }, io));
    });
  program
    .command("demo")
    .description("show Relay at work, with a nats-server and a receiver of its own")
    .option("-n, --count <number>", "end after this many messages (default: on Ctrl-C)", toCount)
    .action(async ({ count }: { count?: number }) => {
      onHangup(() => stopping.abort(NOBODY_READS));
      const { runDemo } = await import("./demo.ts");
      finish(await runDemo({ count: count ?? null, stopping: stopping.signal, env }, io));
    });
}

/** As it is typed after `relay`: `subscriptions list`. */
function pathOf(command: Command): string {
  return command.parent === null ? "" : `${pathOf(command.parent)} ${command.name()}`.trim();
}

/** Gives each command the same parts of a help, and leads each fault to the help of its own command. */
function completeHelp(command: Command, remotes: ReadonlyMap<Command, RemoteCommand>): void {
  const path = pathOf(command);
  const remote = remotes.get(command) ?? null;
  const isGroup = command.commands.length > 0 && remote === null;
  const what = isGroup ? "lists the commands" : "shows its options";
  command.showHelpAfterError(`(${`relay ${path}`.trim()} --help ${what})`);
  if (!isGroup) command.addHelpText("after", helpOf(path, remote));
  for (const own of command.commands) completeHelp(own, remotes);
}

/** `relay check FILE` is what many type first. */
function refuseFile(command: Command): void {
  command.allowExcessArguments().hook("preAction", (_, { args: [file] }) => {
    if (file !== undefined)
      command.error(`error: ${pathOf(command)} takes no file, use --config ${clean(file)}`);
  });
}

/** All values of an option that is given several times. */
function collect(value: string, former: readonly string[] = []): readonly string[] {
  return [...former, value];
}

/** Those that ask a relay. */
function addRemoteCommands(
  program: Command,
  { io, env, stopping, finish }: ProgramOptions,
): ReadonlyMap<Command, RemoteCommand> {
  const byCommand = new Map<Command, RemoteCommand>();
  const addRemote = (parent: Command, remote: RemoteCommand) => {
    const command = withConfig(parent.command(remote.usage))
      .description(remote.description)
      .option(
        "--url <url>",
        "ask the relay at this URL, with the token in RELAY_TOKEN, instead of the one on this host",
      )
      .option("--host <name>", "ask the relay on another host, over NATS")
      .option("--hosts <pattern>", "ask the relays on all hosts that match, such as 'edge-*'");
    if (!remote.options.some(({ flags }) => flags.includes("--yes"))) {
      command.option("--yes", "with --hosts: ask for no confirmation");
    }
    if (command.name() === "list") command.alias("ls");
    for (const { flags, description, isRepeatable = false } of remote.options) {
      if (isRepeatable) command.option(flags, `${description}; may be repeated`, collect);
      else command.option(flags, description);
    }
    command.action(async () => {
      const options = { args: command.args, flags: command.opts<Flags>(), env };
      finish(await runRemote(remote, { ...options, stopping: stopping.signal }, io));
    });
    byCommand.set(command, remote);
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
  withConfig(program.command("fleet"))
    .description("list the relays of the NATS account (those with fleet enabled)")
    .option("--url <url>", "ask the relay at this URL for the list, instead of NATS as the config file says")
    .option("--json", "print JSON")
    .option("--watch", "repeat the list every two seconds")
    .action(
      async ({
        config,
        url,
        ...flags
      }: {
        config?: string;
        url?: string;
        json?: boolean;
        watch?: boolean;
      }) => {
        const { runFleet } = await import("./fleet.ts");
        const { json = false, watch = false } = flags;
        finish(await runFleet({ named: config, url, env, stopping: stopping.signal, json, watch }, io));
      },
    );
  addGroup(program.command("subscriptions").alias("subs"), {
    about: "list, show and control the subscriptions of the running relay",
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
    about: "list, show and control the replays of dead letters",
    remotes: REPLAY_COMMANDS,
  });
  return byCommand;
}

/** For the completions of shells; no help has it. */
function addCompletion(program: Command, { io, env, stopping, finish }: ProgramOptions): void {
  withConfig(program.command("complete", { hidden: true }).argument("<kind>"))
    .option("--url <url>")
    .action(async (kind: string, { config, url }: { config?: string; url?: string }) => {
      const { runComplete } = await import("./complete.ts");
      finish(await runComplete({ kind, named: config, url, env, stopping: stopping.signal }, io));
    });
}

function addServiceCommands(program: Command, { io, finish }: ProgramOptions): void {
  const service = program
    .command("service")
    .description("print, install or uninstall the systemd service")
    .helpCommand("help [command]", "show the help of a command");
  for (const { usage, description, changes, run } of SERVICE_COMMANDS) {
    const command = service.command(usage).description(description);
    if (changes) command.option("--dry-run", "print what would be done, and do nothing");
    command.action(async ({ dryRun }: { dryRun?: boolean }) =>
      finish(await run({ isDryRun: dryRun ?? false, binary: process.execPath }, io)),
    );
  }
}

function addPrintingCommands(program: Command, { io, finish }: ProgramOptions): void {
  program
    .command("licenses")
    .description("print the licences of everything in the binary")
    .action(async () => {
      const { runLicenses } = await import("./licenses.ts");
      finish(await runLicenses(io));
    });
  program
    .command("reference")
    .argument(
      "[format]",
      "config, metrics, errors, permissions, alerts, dashboard, man, bash, zsh or fish",
      "man",
    )
    .argument("[section]", "of the manual: 1 is the command, 5 the config file", "1")
    .description(
      "print the manual, config keys, metrics, errors, NATS permissions, alert rules, a dashboard, or completions of a shell",
    )
    .action(async (format: string, section: string) => {
      const { runReference } = await import("./print-reference.ts");
      finish(await runReference(program, { format, section }, io));
    });
  program
    .command("version")
    .description("print the version and the commit")
    .action(() => {
      io.stdout(`relay ${VERSION} (${COMMIT})\n`);
      finish(0);
    });
}

function toCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 1_000_000) {
    throw new RelayError("usage", `--count takes a whole number from 1 to 1000000, found "${text}"`);
  }
  return count;
}
