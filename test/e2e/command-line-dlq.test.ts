// `relay dlq` by the binary: listed, counted, shown, purged and replayed, for people, programs and pipes.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { DeadLetterDetail, DeadLetterView } from "#wire/dead-letter.ts";
import type { ReplayView } from "#wire/replay.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";
import { runOnTerminal } from "../support/terminal.ts";

const HOSTILE = "\u001b[2J\u009b31m";

let stack: AsyncDisposableStack;
let nats: NatsServer;
let receiver: ScriptedReceiver;
let home: string;
let relay: RelayProcess;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  await addStream(await nats.connect());
  receiver = stack.use(await startScriptedReceiver());
  home = stack.use(await temporaryDirectory()).path;
  const { subscriptions: _none, ...base } = testConfig({
    natsUrl: nats.url,
    callbackUrl: "",
    hasDeadLetters: true,
  });
  const subscription = (id: string, more: object = {}) => ({
    id,
    application: `shop of ${id}`,
    configuration: {
      entrypointId: "webhook",
      channel: `orders.${id}`,
      deliverPolicy: "all",
      callbackUrl: `${receiver.url}/${id}`,
      ...more,
    },
  });
  const subscriptions = ["list", "purge", "replay", "slow"].map((id) => subscription(id));
  relay = stack.use(await startRelay({ config: { ...base, subscriptions }, directory: home }));
  await relay.url();
});
afterAll(() => stack.disposeAsync());

function run(...args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runRelay(["dlq", ...args], { cwd: home });
}

/** Each is rejected once, or as often as `answers` says. */
async function publish(
  id: string,
  names: readonly string[],
  answers: readonly number[] = [404, 200],
): Promise<void> {
  const client = jetstream(await nats.connect());
  for (const name of names) await client.publish(`orders.${id}`, JSON.stringify({ name, answers }));
}

async function list(...args: readonly string[]): Promise<readonly DeadLetterView[]> {
  const { stdout } = await run("list", "--json", ...args);
  return (JSON.parse(stdout) as { items: readonly DeadLetterView[] }).items;
}

async function lettersOf(id: string, count: number): Promise<readonly DeadLetterView[]> {
  return eventually(async () => {
    const letters = await list("--subscription", id);
    return letters.length === count ? letters : undefined;
  });
}

describe("what is shown", () => {
  test("list: nothing, then a line for each, newest first", async () => {
    expect(await run("list", "--subscription", "nobody")).toEqual({
      exitCode: 0,
      stdout: "No dead letters match.\n",
      stderr: "",
    });
    for (const [before, name] of ["one", "two", "three"].entries()) {
      await publish("list", [name]);
      await lettersOf("list", before + 1);
    }
    const letters = await lettersOf("list", 3);
    expect(letters.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
    const { stdout } = await run("list", "--subscription", "list");
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^ID +DATE +REASON +STATUS +ATTEMPTS +SIZE +SUBJECT/);
    expect(lines[1]).toMatch(
      /^list\.ORDERS\.3-\w+ {2}(?:just now|\d+ s ago) +rejected +404 +1 +\d+ {2}orders\.list/,
    );
    expect(lines).toHaveLength(5);
  });

  test("list: every filter is the API's, and what none has says so before anything is asked", async () => {
    const both = ["--application", "shop of list", "--entrypoint", "webhook", "--reason", "rejected"];
    expect(await list(...both, "--status", "4xx", "--from", "1h", "--to", "2100-01-01")).toHaveLength(3);
    for (const none of [
      ["--status", "0"],
      ["--to", "1h"],
      ["--error", "no such text"],
      ["--reason", "exception"],
    ]) {
      expect(await list("--subscription", "list", ...none)).toEqual([]);
    }
    for (const wrong of [
      ["--status", "4"],
      ["--from", "yesterday"],
      ["--to", "2026-02-30"],
      ["--reason", "bad"],
      ["--limit", "0"],
      ["--all", "--limit", "3"],
    ]) {
      const { exitCode, stdout, stderr } = await runRelay(["dlq", "list", ...wrong], { cwd: "/" });
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain(wrong[0] ?? "");
    }
  });

  test("list: page after page by --cursor, and all of it by --all", async () => {
    const first = await run("list", "--subscription", "list", "--limit", "2");
    const [, cursor = ""] = / --cursor (\S+)\n$/.exec(first.stdout) ?? [];
    const { stdout } = await run("list", "--subscription", "list", "--limit", "2", "--cursor", cursor);
    expect(stdout).toMatch(/^list\.ORDERS\.1-/m);
    expect(await list("--subscription", "list", "--all")).toHaveLength(3);
    expect((await run("list", "--all")).stdout).not.toContain("--cursor");
  });

  test("counts: by reason and by subscription", async () => {
    const { exitCode, stdout } = await run("counts");
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^3 {2}dead letters\n3 {2}rejected\nby subscription\n3 {2}list\n$/);
    expect(JSON.parse((await run("counts", "--json")).stdout)).toMatchObject({
      letters: 3,
      isComplete: true,
    });
  });

  test("show: facts, headers and payload; as bytes; as they are, to a pipe and to a file", async () => {
    const id = (await list("--subscription", "list", "--limit", "1"))[0]?.id ?? "";
    const { stdout } = await run("show", id);
    expect(stdout).toStartWith(`${id}\n  date `);
    expect(stdout).toMatch(/^ {2}reason +rejected, status 404$/m);
    expect(stdout).toMatch(/^Relay-Reason: rejected$/m);
    expect(stdout).toContain('\n{\n  "name": "three",\n');
    expect((await run("show", id, "--hex")).stdout).toMatch(
      /^00000000 {2}7b 22 6e 61 6d 65 22 3a {2}22 74 68 72 65 65 22 2c {2}\|\{"name":"three",\|$/m,
    );
    const body = JSON.stringify({ name: "three", answers: [404, 200] });
    expect(await run("show", id, "--raw")).toEqual({ exitCode: 0, stdout: body, stderr: "" });
    expect(await run("show", id, "--output", "payload")).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    expect(await Bun.file(join(home, "payload")).text()).toBe(body);
    expect((await stat(join(home, "payload"))).mode & 0o777).toBe(0o600);
    const json = JSON.parse((await run("show", id, "--json")).stdout) as DeadLetterDetail;
    expect(json).toMatchObject({ id, payload: { encoding: "text", content: body, isCut: false } });
    expect((await run("show", id, "--raw", "--hex")).exitCode).toBe(2);
    const terminal = await runOnTerminal(["dlq", "show", id, "--raw"], { cwd: home });
    expect(terminal).toMatchObject({ exitCode: 2 });
    expect(terminal.screen).toStartWith("Cannot write the bytes to a terminal");
  });

  test("show: one that is not there, one that cannot be, a file that cannot be written", async () => {
    expect(await run("show", "list.ORDERS.99-abc")).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "Cannot show list.ORDERS.99-abc: There is no such dead letter\n",
    });
    expect((await run("show", "../status")).exitCode).toBe(2);
    expect((await run("show", "..")).exitCode).toBe(2);
    const id = (await list("--subscription", "list", "--limit", "1"))[0]?.id ?? "";
    const { exitCode, stderr } = await run("show", id, "--output", "no/such/directory");
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("Cannot write no/such/directory: ");
  });

  test("what others put there is listed apart, and does nothing to the terminal", async () => {
    const client = jetstream(await nats.connect());
    const header = headers();
    header.set("x-hostile", "\u009b31m");
    await client.publish("dlq.foreign", HOSTILE, { headers: header });
    const [foreign] = await eventually(async () => {
      const found = (await list()).filter(({ isForeign }) => isForeign);
      return found.length === 1 ? found : undefined;
    });
    const outputs = [
      (await run("list")).stdout,
      (await run("list", "--json")).stdout,
      (await run("show", foreign?.id ?? "")).stdout,
      (await run("show", foreign?.id ?? "", "--json")).stdout,
    ];
    for (const output of outputs) expect(output.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
    expect(outputs[0]).toMatch(/^@DLQ\.\d+-\w+ +.*not of Relay/m);
    expect(outputs[2]).toContain("\\u001b[2J\\u009b31m");
    expect((await run("purge", foreign?.id ?? "", "--yes")).stdout).toBe("1 dead letter purged\n");
  });
});

describe("what is purged", () => {
  test("by filter: a dry run, a question, only with a yes, and nothing else", async () => {
    await publish("purge", ["a", "b", "c"]);
    await lettersOf("purge", 3);
    const purge = ["purge", "--subscription", "purge"];
    expect((await run("purge")).exitCode).toBe(2);
    expect((await run(...purge, "--all")).exitCode).toBe(2);
    expect(await run(...purge, "--dry-run")).toMatchObject({
      exitCode: 0,
      stdout: "3 dead letters would be purged\n",
    });
    expect(await run(...purge)).toEqual({
      exitCode: 2,
      stdout: "",
      stderr: "No terminal to ask for confirmation; use --yes to purge 3 dead letters\n",
    });
    const refused = await runOnTerminal(["dlq", ...purge], { cwd: home, answer: "n\r" });
    expect(refused.screen).toContain("Purge 3 dead letters for good? [y/N]");
    expect(refused.exitCode).toBe(1);
    await lettersOf("purge", 3);
    const taken = await runOnTerminal(["dlq", ...purge], { cwd: home, answer: "y\r" });
    expect(taken.screen).toEndWith("3 dead letters purged\n");
    expect(taken.exitCode).toBe(0);
    await lettersOf("purge", 0);
    await lettersOf("list", 3);
  });

  test("by id, for programs", async () => {
    await publish("purge", ["d", "e"]);
    const [newest] = await lettersOf("purge", 2);
    const { exitCode, stdout } = await run(
      "purge",
      newest?.id ?? "",
      "purge.ORDERS.99-abc",
      "--yes",
      "--json",
    );
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toEqual({ matched: 1, purged: 1 });
    const [last] = await lettersOf("purge", 1);
    expect(await run("purge", newest?.id ?? "", "--yes")).toEqual({
      exitCode: 1,
      stdout: "No dead letters to purge\n",
      stderr: "",
    });
    expect((await run("purge", last?.id ?? "", "--yes")).exitCode).toBe(0);
  });
});

describe("what is replayed", () => {
  test("a dry run counts; a replay delivers, says that order is lost, and ends with 0", async () => {
    await publish("replay", ["good", "better"]);
    await lettersOf("replay", 2);
    const filter = ["--subscription", "replay"];
    const counted = await run("replay", ...filter, "--dry-run");
    expect(counted).toMatchObject({ exitCode: 0, stderr: "" });
    expect(counted.stdout).toContain('"matching":2');
    const { exitCode, stdout, stderr } = await run("replay", ...filter);
    expect(stderr).toStartWith("Replayed messages arrive out of order with live ones.\n");
    const steps = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as ReplayView);
    expect(steps.at(-1)).toMatchObject({ state: "done", delivered: 2, failed: 0 });
    expect(exitCode).toBe(0);
    expect(receiver.names("/replay").toSorted()).toEqual(["better", "better", "good", "good"]);
    expect(await list(...filter)).toEqual([]);
  });

  test("what fails again stays: exit 1, on a terminal with a bar and a sentence", async () => {
    await publish("replay", ["bad"], [404]);
    const [letter] = await lettersOf("replay", 1);
    const { exitCode, screen } = await runOnTerminal(["dlq", "replay", letter?.id ?? ""], {
      cwd: home,
      columns: 100,
    });
    expect(screen).toContain("[>                   ] 0/1  0 delivered, 0 failed, 0 skipped");
    expect(screen).toMatch(/Replay \w+ is done; 0 delivered, 1 failed and stay\n$/);
    expect(exitCode).toBe(1);
    expect((await run("replay", "replay.ORDERS.99-abc")).exitCode).toBe(1);
    expect(await list("--subscription", "replay")).toMatchObject([{ replays: 1 }]);
    expect((await run("list", "--subscription", "replay")).stdout).toMatch(/REPLAYS[^\n]*\n.* 1 /);
  });

  test("Ctrl-C leaves it running; it is listed, paused, resumed and stopped; --detach does not wait", async () => {
    // One a second: it goes on for longer than these commands take on a busy machine.
    const names = Array.from({ length: 30 }, (_, index) => `s${index}`);
    await publish("slow", names, [404]);
    await lettersOf("slow", names.length);
    const { exitCode, screen } = await runOnTerminal(
      ["dlq", "replay", "--subscription", "slow", "--rate", "1", "--max", "1000"],
      { cwd: home, columns: 100, typed: { after: "0/30", text: "\u0003" } },
    );
    expect(exitCode).toBe(0);
    const [, id = ""] = /Replay (\w+) goes on; .* relay dlq replays stop \w+ stops it\n$/.exec(screen) ?? [];
    expect((await run("replays", "pause", id)).stdout).toStartWith(`Replay ${id} is paused`);
    expect((await run("replays", "list")).stdout).toMatch(new RegExp(`^${id} +paused +`, "m"));
    expect((await run("replays", "resume", id)).stdout).toStartWith(`Replay ${id} is running`);
    expect(JSON.parse((await run("replays", "stop", id, "--json")).stdout)).toMatchObject({
      state: "stopped",
    });
    expect(await run("replays", "stop", id)).toMatchObject({
      exitCode: 1,
      stderr: `Cannot stop replay ${id}: The replay has ended\n`,
    });
    const detached = await run("replay", "--subscription", "slow", "--detach");
    expect(detached.exitCode).toBe(0);
    const started = JSON.parse(detached.stdout) as ReplayView;
    await eventually(async () => (await run("replays", "show", started.id)).stdout.includes("is done"));
  });

  test("what cannot be asked for", async () => {
    for (const wrong of [[], ["--all", "id"], ["--all", "--rate", "0"], ["--all", "--target", "a b"]]) {
      expect(await run("replay", ...wrong)).toMatchObject({ exitCode: 2, stdout: "" });
    }
    const missing = await run("replay", "--all", "--target", "nobody");
    expect(missing).toMatchObject({ exitCode: 1, stdout: "" });
    expect(missing.stderr).toEndWith(
      "Cannot replay: The request has faults\n  to: there is no such subscription here\n",
    );
  });
});

test("what it made and took is what the stream has", async () => {
  const manager = await jetstreamManager(await nats.connect());
  const { state } = await manager.streams.info("DLQ");
  expect((await list("--all")).length).toBe(state.messages);
});
