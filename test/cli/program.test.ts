// The commands as they are typed: the same parts in each help, and faults that lead to the help of their command.

import { expect, test } from "bun:test";
import type { Command } from "commander";
import { createProgram } from "#cli/program.ts";

function createForTest() {
  const printed = { stdout: "", stderr: "", exitCode: null as number | null };
  const program = createProgram({
    io: {
      stdout: (content) => void (printed.stdout += String(content)),
      stderr: (text) => void (printed.stderr += text),
    },
    env: {},
    stopping: new AbortController(),
    engineFault: null,
    onHangup: () => {},
    finish: (exitCode) => (printed.exitCode = exitCode),
  });
  return { program, printed };
}

function listLeaves(command: Command, path: readonly string[] = []): readonly (readonly string[])[] {
  const inner = command.commands.flatMap((own) => listLeaves(own, [...path, own.name()]));
  const isLeaf = command.commands.length === 0 || path.join(" ") === "logs";
  return isLeaf ? [path, ...inner] : inner;
}

async function type(...words: readonly string[]) {
  const { program, printed } = createForTest();
  const failed: unknown = await program.parseAsync(["bun", "relay", ...words]).then(
    () => null,
    (error: unknown) => error,
  );
  return { ...printed, failed };
}

const LEAVES = listLeaves(createForTest().program).filter(
  (path) => !["help", "complete"].includes(path.at(-1) ?? ""),
);

test.each(LEAVES.map((path) => [path.join(" "), path] as const))(
  "the help of %s has exit codes, examples, and what --json prints",
  async (name, path) => {
    const { stdout } = await type(...path, "--help");
    expect(stdout).toStartWith(`Usage: relay ${path.slice(0, -1).join(" ")}`.trim());
    expect(stdout).toMatch(/\nExit codes:\n {3}0 {2}\w.*\n(?: {3}1 {2}.*\n)? {3}2 {2}wrong usage\n/u);
    expect(stdout).toContain(`\nExamples:\n`);
    expect(stdout).toMatch(new RegExp(`^ {2}.*relay ${name}`, "mu"));
    expect(/^JSON.*:$/mu.test(stdout)).toBe(/^ {2}--json /mu.test(stdout));
    expect(stdout).not.toMatch(/undefined|\bnull\b(?!, "(?:faults|orphans)"| \})/u);
  },
);

test.each([
  [
    ["check", "x.json"],
    "error: check takes no file, use --config x.json\n(relay check --help shows its options)\n",
  ],
  [
    ["run", "x.json"],
    "error: run takes no file, use --config x.json\n(relay run --help shows its options)\n",
  ],
  [["service", "status"], "error: unknown command 'status'\n(relay service --help lists the commands)\n"],
  [["dlq", "replays", "lst"], "(relay dlq replays --help lists the commands)\n"],
  [["check", "--strikt"], "(Did you mean --strict?)\n(relay check --help shows its options)\n"],
  [["subs", "ls", "x"], "(relay subscriptions list --help shows its options)\n"],
])("%j is refused, and led to the help of its command", async (words, text) => {
  const { stderr, failed } = await type(...words);
  expect(failed).toMatchObject({ exitCode: 1 });
  expect(stderr).toEndWith(text);
});
