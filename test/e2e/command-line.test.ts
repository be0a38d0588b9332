// The command line about a running relay, by the binary: what each command does, prints, and ends with.

import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SubscriptionView } from "#wire/subscription.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { BINARY, type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";
import { runOnTerminal as runOnTerminalOf, type TerminalOptions } from "../support/terminal.ts";
import { createCertificates } from "../support/tls.ts";

const PATH = process.env["PATH"] ?? "";
const TOKEN = "a-token-of-this-test";
/** What an operator would not want to see done: clear the screen, set its title, paint it red. */
const HOSTILE = "\u001b[2J\u001b]0;owned\u0007\u009b31m";

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

let stack: AsyncDisposableStack;
let nats: NatsServer;
let receiver: ScriptedReceiver;
let hostile: { readonly url: string };
let home: string;
/** Out of sight of what watches the config. */
let word: string;
let relay: RelayProcess;
/** Begun first, for it takes its time. */
let hanging: Promise<Hanging>;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  await addStream(await nats.connect());
  receiver = stack.use(await startScriptedReceiver());
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: () => new Response(HOSTILE, { status: 418, headers: { "x-hostile": "\u009b31m" } }),
  });
  stack.defer(() => server.stop(true));
  hostile = { url: server.url.href };
  home = stack.use(await temporaryDirectory()).path;
  word = join(stack.use(await temporaryDirectory()).path, "word");
  await writeFile(word, "the-first-secret-word");
  hanging = askHanging();
  relay = stack.use(await startRelay({ config: config(), directory: home }));
  await relay.url();
  await eventually(async () => (await run("status")).exitCode === 0, { what: "ready" });
});
afterAll(async () => {
  await hanging;
  await stack.disposeAsync();
});

function config(): Record<string, unknown> {
  const { subscriptions: _none, ...base } = testConfig({ natsUrl: nats.url, callbackUrl: "" });
  const subscription = (id: string, configuration: object) => ({
    id,
    configuration: {
      entrypointId: "webhook",
      channel: `orders.${id}`,
      deliverPolicy: "all",
      ...configuration,
    },
  });
  return {
    ...base,
    callbacks: { allow: ["127.0.0.0/8"] },
    subscriptions: [
      subscription("billing", {
        callbackUrl: `${receiver.url}/billing`,
        headers: [{ name: "x-word", value: { file: word } }],
      }),
      subscription("failing", { callbackUrl: `${receiver.url}/failing` }),
      subscription("hostile", { callbackUrl: `${hostile.url}hostile` }),
    ],
  };
}

/** In the directory of the config, as an operator would. */
function run(...args: readonly string[]): Promise<Ended> {
  return runRelay(args, { cwd: home });
}

async function runWithInput(input: string, args: readonly string[]): Promise<Ended> {
  const child = Bun.spawn([BINARY, ...args], {
    cwd: home,
    env: { PATH },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { exitCode: await child.exited, stdout, stderr };
}

/** On a terminal of 60 columns. */
function runOnTerminal(
  args: readonly string[],
  options: Omit<TerminalOptions, "cwd"> = {},
): Promise<{ exitCode: number; screen: string }> {
  return runOnTerminalOf(args, { cwd: home, ...options });
}

async function create(id: string): Promise<void> {
  const configuration = {
    entrypointId: "webhook",
    channel: `orders.${id}`,
    callbackUrl: `${receiver.url}/${id}`,
  };
  const created = await fetch(`${await relay.url()}/api/subscriptions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ id, configuration }),
  });
  expect(created.status).toBe(201);
}

async function publish(id: string, script: object): Promise<void> {
  await jetstream(await nats.connect()).publish(`orders.${id}`, JSON.stringify(script));
}

async function shown(id: string): Promise<SubscriptionView & { readonly definition: unknown }> {
  return JSON.parse((await run("subscriptions", "show", id, "--json")).stdout);
}

describe("what is shown", () => {
  test("status: ready, where the config is, what the subscriptions do", async () => {
    const { exitCode, stdout, stderr } = await run("status");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("ready");
    expect(lines[1]).toMatch(/^relay {3}\d+\.\d+\.\d+ \([\w-]+\) on \S+, up for \d+ s$/);
    expect(lines[2]).toMatch(/^config {2}\S+\/relay\.config\.json, loaded (?:\d+ s ago|just now)$/);
    expect(lines[3]).toMatch(/^nats {4}connected to \S+, nats-server 2\.\d+\.\d+$/);
    expect(stdout).toMatch(/^ID +STATE +.*QOS/m);
    expect(stdout).toMatch(/^billing +running .* AUTO /m);
    expect(stdout).not.toContain("\u001b");
  });

  test("status --json: what the API says", async () => {
    const { exitCode, stdout } = await run("status", "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      readiness: { isReady: true, reasons: [] },
      nats: { connected: true },
      subscriptions: { running: 3 },
    });
  });

  test("subscriptions list, for people and for programs", async () => {
    const { exitCode, stdout } = await run("subscriptions", "list");
    expect(exitCode).toBe(0);
    expect(stdout.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "ID",
      "billing",
      "failing",
      "hostile",
      "",
    ]);
    const json = await run("subscriptions", "list", "--json");
    const { items, orphans } = JSON.parse(json.stdout) as {
      items: readonly SubscriptionView[];
      orphans: readonly unknown[];
    };
    expect(items.map(({ id }) => id)).toEqual(["billing", "failing", "hostile"]);
    expect(orphans).toEqual([]);
  });

  test("subscriptions show: at length, with the definition, without its secret", async () => {
    const { exitCode, stdout } = await run("subscriptions", "show", "billing");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^billing {2}running\n/);
    expect(stdout).toMatch(/^ {2}consumer +relay-billing$/m);
    expect(stdout).toMatch(/^ {2}made by +the config file$/m);
    expect(stdout).toContain('"x-word"');
    expect(stdout).not.toContain("secret-word");
    expect(await shown("billing")).toMatchObject({ id: "billing", origin: "file", status: "ACCEPTED" });
  });

  test("one that is not there, or cannot be", async () => {
    expect(await run("subscriptions", "show", "nobody")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "Cannot show nobody: There is no such subscription\n",
    });
    expect((await run("subscriptions", "show", "../status")).exitCode).toBe(2);
  });
});

describe("what is commanded", () => {
  test("pause and resume, stop and start", async () => {
    const steps = [
      ["pause", "billing paused\n"],
      ["resume", "billing resumed\n"],
      ["stop", "billing stopped\n"],
      ["start", "billing started\n"],
    ] as const;
    for (const [verb, stdout] of steps) {
      expect(await run("subscriptions", verb, "billing")).toEqual({ exitCode: 0, stdout, stderr: "" });
    }
    const { stdout } = await run("subscriptions", "pause", "billing", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ items: [{ id: "billing", status: "PAUSED" }], faults: [] });
    await run("subscriptions", "resume", "billing");
    await eventually(async () => (await shown("billing")).state === "running");
  });

  test("pause and resume of several, or of all that an option chooses: counted, and only with a yes", async () => {
    const all = (await run("subscriptions", "pause", "--all", "--dry-run")).stdout;
    expect(all).toMatch(/^billing\n[\s\S]*Would pause \d+ subscriptions of this relay/u);
    const unsure = await run("subscriptions", "pause", "--all");
    expect([unsure.exitCode, unsure.stdout]).toEqual([2, ""]);
    expect(unsure.stderr).toMatch(
      /^No terminal to ask for confirmation; use --yes to pause \d+ subscriptions of this relay/u,
    );
    expect((await run("subscriptions", "pause", "billing", "--all")).exitCode).toBe(2);
    expect((await run("subscriptions", "pause")).exitCode).toBe(2);
    const paused = await run("subscriptions", "pause", "billing", "nobody", "failing");
    expect([paused.exitCode, paused.stdout]).toEqual([1, "billing paused\nfailing paused\n"]);
    expect(paused.stderr).toBe("Cannot pause nobody: There is no such subscription\n");
    expect((await run("subscriptions", "resume", "--all", "--yes")).stdout).toBe(
      "billing resumed\nfailing resumed\n",
    );
    await eventually(async () => (await shown("billing")).state === "running");
    await eventually(async () => (await shown("failing")).state === "running");
  });

  test("resume --skip: the message that failed is not sent again, the next one is", async () => {
    await publish("failing", { name: "bad", answers: [404] });
    await eventually(async () => (await shown("failing")).consumerStatus === "FAILURE");
    await publish("failing", { name: "good" });
    const status = await run("status");
    expect(status.exitCode).toBe(0);
    expect(status.stdout).toMatch(/^failing +failed [\s\S]*404/m);
    const calls = receiver.names("/failing").length;
    expect(await run("subscriptions", "resume", "failing", "--skip")).toMatchObject({ exitCode: 0 });
    await eventually(() => receiver.names("/failing").includes("good"));
    expect(receiver.names("/failing").slice(calls)).toEqual(["good"]);
  });

  test("seek: back to a sequence, and what cannot be", async () => {
    await publish("billing", { name: "again" });
    await eventually(() => receiver.names("/billing").includes("again"));
    const dry = await run("subscriptions", "seek", "billing", "--sequence", "1", "--dry-run");
    expect(dry.stdout).toMatch(
      /^billing is at sequence \d+ of \w+, which ends at \d+; 0 messages wait\n--sequence 1: about \d+ messages? (?:is|are) sent again\n$/u,
    );
    const unsure = await run("subscriptions", "seek", "billing", "--sequence", "1");
    expect([unsure.exitCode, unsure.stdout]).toEqual([2, ""]);
    expect(unsure.stderr).toMatch(/^No terminal to ask for confirmation; use --yes to seek billing: about /u);
    const { stdout, exitCode } = await run("subscriptions", "seek", "billing", "--sequence", "1", "--yes");
    expect(stdout).toMatch(/^billing was moved: about \d+ messages? (?:is|are) sent again\n$/u);
    expect(exitCode).toBe(0);
    await eventually(() => receiver.names("/billing").filter((name) => name === "again").length === 2);
    const tooFar = await run("subscriptions", "seek", "billing", "--sequence", "9999");
    expect([tooFar.exitCode, tooFar.stdout]).toEqual([1, ""]);
    expect(tooFar.stderr).toMatch(
      /^Cannot seek billing: .*sequence: found 9999, allowed: up to (\d+), for the stream ends at \d+\n$/su,
    );
    expect((await run("subscriptions", "seek", "billing")).exitCode).toBe(2);
    expect((await run("subscriptions", "seek", "billing", "--to", "new", "--sequence", "1")).exitCode).toBe(
      2,
    );
  });

  test("delete: not what stands in the file; what was made by API only with a yes", async () => {
    expect(await run("subscriptions", "delete", "billing", "--yes")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "Cannot delete billing: it is defined in the config file: delete it there\n",
    });
    const definition = {
      entrypointId: "webhook",
      channel: "orders.made",
      callbackUrl: `${receiver.url}/made`,
    };
    const created = await fetch(`${await relay.url()}/api/subscriptions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id: "made", configuration: definition }),
    });
    expect(created.status).toBe(201);
    const unasked = await run("subscriptions", "delete", "made");
    expect(unasked).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: "No terminal to ask for confirmation; use --yes to delete made\n",
    });
    expect(await run("subscriptions", "delete", "made", "--yes")).toEqual({
      exitCode: 0,
      stdout: "made is deleted\n",
      stderr: "",
    });
    expect((await run("subscriptions", "show", "made")).exitCode).toBe(1);
  });
});

describe("a test of a callback", () => {
  test("delivered: the exchange is shown, without the secret, and nothing is in the stream", async () => {
    const body = JSON.stringify({ name: "sample" });
    await writeFile(join(home, "sample.json"), body);
    const { exitCode, stdout } = await run("subscriptions", "test", "billing", "--body", "sample.json");
    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toBe(`> POST ${receiver.url}/billing`);
    expect(stdout.toLowerCase()).toContain("> x-relay-test: true\n");
    expect(stdout.toLowerCase()).toContain("> x-word: ***\n");
    expect(stdout).not.toContain("secret-word");
    expect(stdout).toContain("\n< 200\n");
    expect(lines.at(-2)).toMatch(/^delivered after [\d.]+ ms: status 200$/);
    const request = receiver.requests.findLast(({ path }) => path === "/billing");
    expect(request).toMatchObject({ body, headers: { "x-word": "the-first-secret-word" } });
  });

  test("from standard input, for programs, and rejected: exit 1", async () => {
    const args = ["subscriptions", "test", "failing", "--body", "-", "--json"];
    const rejected = await runWithInput(JSON.stringify({ name: "no", answers: [422] }), args);
    expect(rejected.exitCode).toBe(1);
    expect(JSON.parse(rejected.stdout)).toMatchObject({ outcome: "rejected", status: 422 });
    const large = await runWithInput("x".repeat(65_537), args);
    expect(large).toMatchObject({ exitCode: 2, stdout: "" });
    expect(large.stderr).toBe("Cannot send standard input: it has more than 65536 bytes\n");
    const missing = await run("subscriptions", "test", "failing", "--body", "nothing.json");
    expect(missing).toMatchObject({ exitCode: 1, stdout: "" });
    expect(missing.stderr).toStartWith("Cannot read nothing.json: ");
  });

  test("a hostile answer is shown, and does nothing to the terminal", async () => {
    for (const flags of [[], ["--json"]]) {
      const { exitCode, stdout } = await run("subscriptions", "test", "hostile", ...flags);
      expect(exitCode).toBe(1);
      expect(stdout).toContain("418");
      expect(stdout).toContain("\\u001b[2J");
      expect(stdout.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    }
  });
});

describe("a reload", () => {
  test("taken: a line for each change, exit 0", async () => {
    const same = expect.stringMatching(
      /^Nothing changed: the config that runs was loaded \d+ (s|min) ago\n$/,
    );
    expect(await run("reload")).toEqual({ exitCode: 0, stdout: same, stderr: "" });
    await writeFile(word, "the-second-secret-word");
    const { exitCode, stdout } = await run("reload");
    expect(exitCode).toBe(0);
    expect(stdout).toStartWith("Subscription billing changed");
    expect(JSON.parse((await run("reload", "--json")).stdout)).toMatchObject({ changes: [], warnings: [] });
  });

  test("refused: what relay check says, exit 1, and the config before goes on", async () => {
    await rm(word);
    const path = join(home, "relay.config.json");
    const [reload, check] = [await run("reload", "-c", path), await run("check", "-c", path)];
    expect(check.exitCode).toBe(78);
    expect(reload).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: `${check.stderr}The running config stays active.\n`,
    });
    const { stdout, exitCode } = await run("status");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ {8}refused: .* 1 fault/m);
    await writeFile(word, "the-second-secret-word");
    expect(await run("reload")).toMatchObject({ exitCode: 0 });
    expect((await run("status")).stdout).not.toContain("refused");
  });
});

describe("on a terminal", () => {
  test("colours, and lines that fit; no colours where NO_COLOR says so", async () => {
    await create("longer-than-the-others");
    await eventually(async () => (await shown("longer-than-the-others")).state === "running");
    const { screen } = await runOnTerminal(["subscriptions", "list"]);
    expect(screen).toContain("\u001b[32mrunning\u001b[39m");
    const plain = await runOnTerminal(["subscriptions", "list"], { env: { NO_COLOR: "1" } });
    expect(plain.screen).toBe(Bun.stripANSI(screen));
    const widths = plain.screen.split("\n").map((line) => line.length);
    expect(Math.max(...widths)).toBe(60);
    expect(plain.screen).toContain("…");
    const long = "i".repeat(60);
    await create(long);
    await eventually(async () => (await shown(long)).state === "running");
    const { screen: shortened } = await runOnTerminal(["subscriptions", "list"], { env: { NO_COLOR: "1" } });
    expect(shortened).toMatch(/^i{60} {2}running$/m);
    await run("subscriptions", "delete", long, "--yes");
  });

  test("delete asks, and takes only a yes", async () => {
    await create("asked");
    const command = ["subscriptions", "delete", "asked"];
    for (const answer of ["\r", "n\r", "\u0003", "\u0004"]) {
      const { exitCode, screen } = await runOnTerminal(command, { answer });
      expect(screen).toContain("Delete asked and its consumer relay-asked? [y/N]");
      expect(exitCode).toBe(1);
    }
    expect(await shown("asked")).toMatchObject({ id: "asked" });
    const deleted = await runOnTerminal(command, { answer: "y\r" });
    expect(deleted.exitCode).toBe(0);
    expect(deleted.screen).toEndWith("asked is deleted\n");
  });
});

test("every command has help with examples, in both ways", async () => {
  const { stdout: list } = await run("help", "subscriptions");
  const verbs = [...list.matchAll(/^ {2}([a-z]+)(?:\|[a-z]+)? \[options\]/gm)].map(([, verb]) => verb ?? "");
  expect(verbs).toEqual([
    "list",
    "show",
    "pause",
    "resume",
    "stop",
    "start",
    "parked",
    "test",
    "seek",
    "resend",
    "delete",
  ]);
  const commands = [
    ["status"],
    ["reload"],
    ...verbs.map((verb) => ["subscriptions", verb]),
    ...["list", "counts", "show", "purge", "replay"].map((verb) => ["dlq", verb]),
    ...["list", "show", "pause", "resume", "stop"].map((verb) => ["dlq", "replays", verb]),
    ["logs"],
    ["logs", "show"],
    ["logs", "export"],
  ];
  const helps = await Promise.all(commands.map((command) => run("help", ...command)));
  for (const [index, help] of helps.entries()) {
    expect(help).toMatchObject({ exitCode: 0, stderr: "" });
    expect(help.stdout).toContain(`Examples:\n  `);
    expect(help.stdout).toMatch(
      new RegExp(
        `^Usage: relay ${commands[index]?.join(" ").replace(/list$/u, String.raw`list\|ls`)} \\[options\\]`,
        "u",
      ),
    );
  }
  expect(await run("subscriptions", "seek", "--help")).toEqual(await run("help", "subscriptions", "seek"));
});

describe("where the relay is", () => {
  test("nowhere: what was tried, exit 1", async () => {
    await using directory = await temporaryDirectory();
    const { exitCode, stdout, stderr } = await runRelay(["status"], { cwd: directory.path });
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: "" });
    expect(stderr).toContain("No relay is running here: tried /run/relay/relay.sock (");
    expect(stderr).toContain("/.relay/relay.sock (not found); name its config with --config");
  });

  test("by the state directory of a config that has faults", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "faulty.json");
    await writeFile(path, JSON.stringify({ state: { directory: join(home, ".relay") }, nonsense: true }));
    expect((await run("check", "-c", path)).exitCode).toBe(78);
    expect(await run("status", "-c", path)).toMatchObject({ exitCode: 0, stderr: "" });
  });

  test("behind a socket that is not for everybody", async () => {
    const socket = join(home, ".relay", "relay.sock");
    await chmod(socket, 0);
    // Root may open anything, unless it gives that up.
    const less = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"];
    const command = [...(process.getuid?.() === 0 ? less : []), BINARY, "status"];
    const child = Bun.spawn(command, { cwd: home, env: { PATH }, stdin: "ignore", stderr: "pipe" });
    const stderr = await new Response(child.stderr).text();
    await chmod(socket, 0o660);
    expect(stderr).toMatch(
      /^Cannot ask the relay at \S+: permission denied, it answers to root and members of/,
    );
    expect(await child.exited).toBe(1);
  });

  test("at a URL, with the right token, a wrong one, and none", async () => {
    await using directory = await temporaryDirectory();
    const certificates = await createCertificates(directory.path);
    const { certFile, keyFile } = certificates.server;
    const auth = { type: "token", value: TOKEN };
    await using guarded = await startRelay({
      config: {
        ...testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub` }),
        server: { listen: "127.0.0.1:0", tls: { certFile, keyFile }, auth },
      },
    });
    const url = await guarded.url();
    expect(url).toStartWith("https://");
    const ask = (env: Readonly<Record<string, string>>) =>
      runRelay(["subscriptions", "list", "--url", url], {
        env: { PATH, NODE_EXTRA_CA_CERTS: certificates.caFile, ...env },
      });
    expect(await ask({ RELAY_TOKEN: TOKEN })).toMatchObject({ exitCode: 0, stderr: "" });
    const wrong = await ask({ RELAY_TOKEN: "another-token-of-this-test" });
    expect(wrong).toEqual({
      exitCode: 1,
      stdout: "",
      stderr:
        "Cannot list the subscriptions: The credentials are wrong (the token in RELAY_TOKEN is not accepted)\n",
    });
    expect((await ask({})).stderr).toContain("(RELAY_TOKEN is not set)");
    const untrusted = await ask({ RELAY_TOKEN: TOKEN, NODE_EXTRA_CA_CERTS: "" });
    expect(untrusted.exitCode).toBe(1);
    expect(untrusted.stderr).toMatch(/^Cannot ask the relay at https:.*certificate/);
  });

  test("at a URL where nobody is", async () => {
    const { exitCode, stderr } = await run("status", "--url", "http://127.0.0.1:1");
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: "No relay is running at http://127.0.0.1:1: connection refused\n",
    });
  });
});

test("status ends with 1 where the relay is not ready, and says why", async () => {
  await using directory = await temporaryDirectory();
  await using unready = await startRelay({
    config: testConfig({ natsUrl: "nats://127.0.0.1:1", callbackUrl: receiver.url }),
    directory: directory.path,
  });
  await unready.url();
  const { exitCode, stdout } = await runRelay(["status"], { cwd: directory.path });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^not ready\n {2}\S/);
  expect(stdout).toMatch(/^nats {4}not connected/m);
});

test("a relay that hangs is waited for no longer than 15 s", async () => {
  const { ended, tookMs } = await hanging;
  expect(tookMs).toBeWithin(15_000, 25_000);
  for (const { exitCode, stderr } of ended) {
    expect(stderr).toMatch(/^The relay at \S+\/relay\.sock did not answer within 15 s\n$/);
    expect(exitCode).toBe(1);
  }
}, 120_000);

interface Hanging {
  readonly ended: readonly Ended[];
  readonly tookMs: number;
}

async function askHanging(): Promise<Hanging> {
  await using directory = await temporaryDirectory();
  await using stopped = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" }),
    directory: directory.path,
  });
  await stopped.url();
  stopped.signal("SIGSTOP");
  const startedAt = performance.now();
  const commands = [["status"], ["reload"], ["subscriptions", "test", "sub"]];
  const ended = await Promise.all(commands.map((command) => runRelay(command, { cwd: directory.path })));
  return { ended, tookMs: performance.now() - startedAt };
}
