// Words of a command line: options before the command stand behind it, help of a command is its option, and help for a command that is none ends as the command itself would.

import { expect, test } from "bun:test";
import { Command, CommanderError } from "commander";
import { refuseUnknownCommand, toCommandWords } from "#cli/command-words.ts";
import { runRelay } from "../support/relay.ts";

test.each([
  ["status --json", "status --json"],
  ["--config a.json status", "status --config a.json"],
  ["-c a.json dlq list --json", "dlq list --json -c a.json"],
  ["--config=a.json --url http://a run", "run --config=a.json --url http://a"],
  ["--config a.json subscriptions show -- -x", "subscriptions show --config a.json -- -x"],
  ["help dlq list", "dlq list --help"],
  ["--config a.json help dlq list", "dlq list --help"],
  ["help", "help"],
  ["--config a.json", "--config a.json"],
  ["--config", "--config"],
  ["--version", "--version"],
  ["--configuration a.json status", "--configuration a.json status"],
  ["", ""],
])("toCommandWords() of %p is %p", (given, taken) => {
  const words = (text: string) => text.split(" ").filter((word) => word !== "");
  expect(toCommandWords(["bun", "relay", ...words(given)])).toEqual(["bun", "relay", ...words(taken)]);
});

async function parse(words: readonly string[]) {
  const printed = { stdout: "", stderr: "" };
  const program = new Command("relay")
    .configureOutput({
      writeOut: (text) => void (printed.stdout += text),
      writeErr: (text) => void (printed.stderr += text),
    })
    .exitOverride()
    .enablePositionalOptions()
    .addHelpText("beforeAll", refuseUnknownCommand);
  program.command("run <file>").action(() => undefined);
  const group = program.command("dlq").helpCommand("help [command]").option("-x, --extra <word>");
  group.command("list").action(() => undefined);
  const error: unknown = await program.parseAsync(words, { from: "user" }).catch((thrown: unknown) => thrown);
  return { ...printed, exitCode: error instanceof CommanderError ? error.exitCode : 0 };
}

test.each(["nope --help", "help nope", "dlq nope --help", "dlq help nope", "dlq --extra a nope --help"])(
  "refuseUnknownCommand() refuses %j",
  async (line) => {
    expect(await parse(line.split(" "))).toEqual({
      stdout: "",
      stderr: "error: unknown command 'nope'\n",
      exitCode: 1,
    });
  },
);

test.each([
  "--help",
  "help",
  "help dlq",
  "dlq --help",
  "dlq help",
  "dlq help list",
  "dlq list --help",
  "run nope --help",
])("refuseUnknownCommand() lets %j pass", async (line) => {
  const { stdout, stderr, exitCode } = await parse(line.split(" "));
  expect(stdout).toStartWith("Usage: relay ");
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
});

test.each(["nope", "help nope", "help dlq nope", "dlq help nope", "dlq replays help nope"])(
  "relay %s ends with 2 and names the command that is none",
  async (line) => {
    expect(await runRelay(line.split(" "))).toMatchObject({
      exitCode: 2,
      stdout: "",
      stderr: expect.stringMatching(
        /^error: unknown command 'nope'\n\(relay( [a-z]+)* --help lists (the|its) commands\)\n$/,
      ),
    });
  },
);
