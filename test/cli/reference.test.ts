// The manual page and the completions say what the commands say; the tools that read them find nothing wrong.

import { expect, test } from "bun:test";
import { toBash, toFish, toZsh } from "#cli/completions.ts";
import { type ReferenceEntry, toEntries } from "#cli/reference.ts";
import { describeConfig } from "#schema/describe.ts";
import { runRelay } from "../support/relay.ts";

async function reference(...args: readonly string[]): Promise<string> {
  const { exitCode, stdout } = await runRelay(["reference", ...args]);
  expect(exitCode).toBe(0);
  return stdout;
}

/** What bash would offer after these words. */
async function offers(words: readonly string[]): Promise<readonly string[]> {
  const script = `${await reference("bash")}
relay() { echo "$2-1"; echo "other-2"; }
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length - 1}
_relay
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script]);
  expect(stderr.toString()).toBe("");
  return stdout.toString().trim().split("\n");
}

test.each([
  [["relay", "ser"], ["service"]],
  [
    ["relay", "service", ""],
    ["print", "install", "uninstall", "--help"],
  ],
  [["relay", "service", "install", "--d"], ["--dry-run"]],
  [["relay", "subscriptions", "show", "billing", "--conf"], ["--config"]],
  [["relay", "run", "--config", "/etc/passw"], ["/etc/passwd"]],
  [["relay", "subs", "pause", "sub"], ["subscriptions-1"]],
  [
    ["relay", "subscriptions", "show", ""],
    ["subscriptions-1", "other-2"],
  ],
  [["relay", "dlq", "show", "l"], ["letters-1"]],
  [["relay", "dlq", "replays", "stop", "r"], ["replays-1"]],
  [["relay", "dlq", "list", "--subscription", "sub"], ["subscriptions-1"]],
  [
    ["relay", "dlq", "list", "--reason", "ex"],
    ["exception", "expression", "expired"],
  ],
  [
    ["relay", "subs", "seek", "a", "--to", ""],
    ["all", "new", "last"],
  ],
  [["relay", "status", "--host", "h"], ["hosts-1"]],
  [["relay", "reference", "e"], ["errors"]],
])("bash offers after %j: %j", async (words, expected) => {
  const found = await offers(words);
  expect(found).toEqual(expect.arrayContaining([...expected]));
});

test("the manual page has every command, and nothing that its reader warns of", async () => {
  const manual = await reference("man");
  const { stdout } = await runRelay(["--help"]);
  const names = [...stdout.matchAll(/^ {2}([a-z]+)(?: \[| <| {2,})/gm)].map(([, name]) => name ?? "");
  expect(names.length).toBeGreaterThan(5);
  for (const name of names.filter((own) => own !== "help")) expect(manual).toContain(`.SS "relay ${name}`);
  expect(warningsOf(manual)).toEqual([]);
});

test("the manual page of the config has every key, with its quotes, and nothing that its reader warns of", async () => {
  const manual = await reference("man", "5");
  for (const { name, rows } of describeConfig()) {
    expect(manual).toContain(`\n.SS ${name}\n`);
    for (const { key } of rows) expect(manual).toContain(`.TP\n\\fB${key}`);
  }
  expect(manual).toContain('fB{ "credential": "NAME" }');
  expect(manual).toContain('"callbackUrl": "http://127.0.0.1:9000/"');
  expect(manual).not.toMatch(/`|\]\(/);
  expect(warningsOf(manual)).toEqual([]);
});

test("a section that the manual has not is wrong usage", async () => {
  const { exitCode, stderr } = await runRelay(["reference", "man", "8"]);
  expect([exitCode, stderr]).toEqual([2, "The manual has sections 1 and 5, found 8\n"]);
});

/** Macros that man(7) does not have, and what groff says where it is there. */
function warningsOf(manual: string): readonly string[] {
  const lines = manual.split("\n").filter((line) => line.startsWith("."));
  const unknown = lines.filter((line) => !/^\.(?:TH|SH|SS|TP|B|BR|nf|fi)(?: |$)/.test(line));
  if (Bun.which("groff") === null) return unknown;
  const { stderr } = Bun.spawnSync(["groff", "-man", "-Tutf8", "-ww", "-Kutf8", "-z"], {
    stdin: Buffer.from(manual),
  });
  return [...unknown, ...stderr.toString().split("\n").filter(Boolean)];
}

test("a format that is none is wrong usage", async () => {
  const { exitCode, stderr } = await runRelay(["reference", "tcsh"]);
  expect([exitCode, stderr]).toEqual([
    2,
    "Cannot print tcsh: allowed are config, metrics, errors, permissions, alerts, dashboard, man, bash, zsh, fish\n",
  ]);
});

const described = (name: string, more: object = {}) => ({
  name: () => name,
  description: () => "says it's so",
  usage: () => "",
  options: [],
  commands: [],
  ...more,
});
const entries: readonly ReferenceEntry[] = toEntries(
  described("relay", {
    commands: [
      described("a", {
        commands: [
          described("b", {
            options: [{ flags: "-f, --file <file>", short: "-f", long: "--file", description: "a file" }],
          }),
        ],
      }),
    ],
  }),
);

test("toEntries() lists commands with their paths", () => {
  expect(entries.map(({ path }) => path)).toEqual(["", "a", "a b"]);
});

test("toBash() and toZsh() ask for the longest path first", () => {
  expect(toBash(entries)).toMatch(/"a b "\*\).*\n.*"a "\*\).*\n.*" "\)/);
  expect(toZsh(entries)).toMatch(/"a b "\*\).*\n.*"a "\*\).*\n.*" "\)/);
});

test("toFish() offers a command where it belongs, and files for what takes one", () => {
  const text = toFish(entries);
  expect(text).toContain(
    String.raw`complete -c relay -n '__fish_seen_subcommand_from a; and not __fish_seen_subcommand_from b' -a b -d 'says it\'s so'`,
  );
  expect(text).toContain(
    "complete -c relay -n '__fish_seen_subcommand_from a; and __fish_seen_subcommand_from b' -s f -l file -r -F -d 'a file'",
  );
});

test("zsh offers ids of the running relay, and words of a fixed list", async () => {
  const script = await reference("zsh");
  const offered = (words: string) => {
    const stubs = "compdef() { :; }; compadd() { shift; print -r -- $@ }; relay() { print -r -- $2-1 }";
    const { stdout } = Bun.spawnSync([
      "zsh",
      "-fc",
      `${stubs}\n${script}\nwords=(${words} ''); CURRENT=$#words; _relay`,
    ]);
    return stdout.toString().trim().split(/\s+/u);
  };
  expect(offered("relay subs pause")).toContain("subscriptions-1");
  expect(offered("relay dlq list --reason")).toContain("rejected");
});

test("fish offers ids of the running relay, and words of a fixed list", async () => {
  const script = await reference("fish");
  const offered = (line: string) => {
    const stub = "function relay; echo $argv[2]-1; end";
    const { stdout } = Bun.spawnSync([
      "fish",
      "--no-config",
      "-c",
      `${stub}\n${script}\ncomplete -C '${line}'`,
    ]);
    return stdout.toString();
  };
  expect(offered("relay subs pause ")).toMatch(/^subscriptions-1/mu);
  expect(offered("relay dlq list --reason ")).toMatch(/^rejected\t/mu);
});

test("relay complete prints nothing, and no fault, where no relay runs", async () => {
  const outcome = await runRelay(["complete", "subscriptions", "--config", "/nowhere/relay.config.json"]);
  expect(outcome).toEqual({ exitCode: 0, stdout: "", stderr: "" });
});
