// `relay logs` by the binary: listed, shown, exported, and followed across a restart of the relay.

import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DeliveryDetail, DeliveryView } from "#wire/delivery.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { BINARY, type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";
import { runOnTerminal } from "../support/terminal.ts";

const PATH = process.env["PATH"] ?? "";
const LINE = /^\d{4}-\d\d-\d\dT[\d:.]+Z {2}/;

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
  relay = await start();
  stack.defer(() => relay[Symbol.asyncDispose]());
});
afterAll(() => stack.disposeAsync());

async function start(): Promise<RelayProcess> {
  const { subscriptions: _none, ...base } = testConfig({
    natsUrl: nats.url,
    callbackUrl: "",
    hasDeadLetters: true,
    entrypoint: {
      sampling: { type: "ALL" },
      logging: {
        enabled: true,
        request: { headers: true, payload: true },
        response: { headers: true, payload: true },
      },
    },
  });
  const subscriptions = ["one", "two"].map((id) => ({
    id,
    application: `shop of ${id}`,
    configuration: {
      entrypointId: "webhook",
      channel: `orders.${id}`,
      deliverPolicy: "all",
      callbackUrl: `${receiver.url}/${id}`,
    },
  }));
  const started = await startRelay({ config: { ...base, subscriptions }, directory: home });
  await started.url();
  return started;
}

function run(...args: readonly string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  return runRelay(["logs", ...args], { cwd: home });
}

async function publish(id: string, name: string, answers: readonly number[] = [200]): Promise<void> {
  await jetstream(await nats.connect()).publish(`orders.${id}`, JSON.stringify({ name, answers }));
}

async function list(...args: readonly string[]): Promise<readonly DeliveryView[]> {
  return (JSON.parse((await run("--json", ...args)).stdout) as { items: readonly DeliveryView[] }).items;
}

interface Following extends AsyncDisposable {
  stdout: () => string;
  stderr: () => string;
  /** Ctrl-C. Resolves with the exit code. */
  end: () => Promise<number>;
}

async function follow(...args: readonly string[]): Promise<Following> {
  const child = Bun.spawn([BINARY, "logs", "--follow", ...args], {
    cwd: home,
    env: { PATH },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = { stdout: "", stderr: "" };
  const reading = (["stdout", "stderr"] as const).map(async (name) => {
    for await (const chunk of child[name]) texts[name] += new TextDecoder().decode(chunk);
  });
  async function end(): Promise<number> {
    child.kill("SIGINT");
    await Promise.all(reading);
    return await child.exited;
  }
  return {
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    end,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}

describe("what is listed", () => {
  test("nothing; then a line for each, the newest last; and by every filter", async () => {
    expect(await run()).toEqual({ exitCode: 0, stdout: "No deliveries match.\n", stderr: "" });
    await publish("one", "good");
    await eventually(async () => (await list()).length === 1);
    await publish("two", "bad", [404]);
    await eventually(async () => (await list()).length === 2);
    const { stdout, exitCode } = await run();
    const [first = "", second = "", end] = stdout.split("\n");
    expect({ exitCode, end }).toEqual({ exitCode: 0, end: "" });
    expect(first).toMatch(LINE);
    expect(first).toMatch(
      /Z {2}\d+ {2}200 {2}one {11}http:\/\/127\.0\.0\.1:\d+\/one {2}\d+ ms {2}1 attempt$/,
    );
    expect(second).toMatch(
      /Z {2}\d+ {2}404 {2}two {11}http:\S+\/two {2}\d+ ms {2}1 attempt {2}dead-lettered {2}.*404/,
    );
    const ofTwo = ["--application", "shop of two", "--entrypoint", "webhook", "--subscription", "two"];
    const found = await list(...ofTwo, "--status", "4xx", "--callback-url", "/two", "--from", "1h");
    expect(found.map(({ subscription, status }) => ({ subscription, status }))).toEqual([
      { subscription: "two", status: 404 },
    ]);
    expect(await list("--to", "1h")).toEqual([]);
  });

  test("page after page, and what cannot be asked for", async () => {
    const { stdout } = await run("--limit", "1");
    const [, cursor = ""] = /^Older ones with --cursor (\S+)\n/.exec(stdout) ?? [];
    expect((await list("--limit", "1", "--cursor", cursor))[0]).toMatchObject({ subscription: "one" });
    for (const wrong of [
      ["--status", "x"],
      ["--limit", "1001"],
      ["--follow", "--to", "1h"],
      ["show", "../status"],
      ["export", "--format", "xml"],
      ["nothing"],
    ]) {
      expect(await run(...wrong)).toMatchObject({ exitCode: 2, stdout: "" });
    }
  });

  test("show: attempts, and the exchange that logging asked for", async () => {
    const [newest] = await list("--subscription", "two");
    const { exitCode, stdout } = await run("show", newest?.id ?? "");
    expect(exitCode).toBe(0);
    expect(stdout).toStartWith(`${newest?.id}  404\n  date `);
    expect(stdout).toMatch(/^ {2}dead letter +two\.ORDERS\.\d+-\w+$/m);
    expect(stdout).toMatch(/^ATTEMPT +STATUS +MS/m);
    expect(stdout).toMatch(/^request\n(?:\S+: .*\n)+\n\{\n {2}"name": "bad",$/m);
    expect(stdout).toMatch(/^response\n/m);
    const json = JSON.parse((await run("show", newest?.id ?? "", "--json")).stdout) as DeliveryDetail;
    expect(json.request?.body).toContain('"bad"');
    expect(await run("show", "999999")).toMatchObject({
      exitCode: 1,
      stderr: "Cannot show delivery 999999: There is no such record\n",
    });
  });

  test("export: JSON lines to a pipe, CSV to a file, nothing to a terminal", async () => {
    const { stdout } = await run("export", "--subscription", "one");
    const records = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as DeliveryDetail);
    expect(records).toMatchObject([{ subscription: "one", status: 200 }]);
    const saved = await run("export", "--format", "csv", "--output", "deliveries.csv");
    expect(saved).toEqual({ exitCode: 0, stdout: "", stderr: "" });
    const lines = (await Bun.file(`${home}/deliveries.csv`).text()).split("\r\n");
    expect(lines[0]).toStartWith("id,date,host,entrypoint,");
    expect(lines).toHaveLength(4);
    const { exitCode, screen } = await runOnTerminal(["logs", "export"], { cwd: home });
    expect(exitCode).toBe(2);
    expect(screen).toStartWith("Cannot write an export to a terminal");
  });

  test("on a terminal: coloured, in lines that fit, and nothing left out", async () => {
    const { screen } = await runOnTerminal(["logs"], { cwd: home, columns: 90 });
    expect(screen).toContain("\u001b[32m200\u001b[39m");
    expect(screen).toContain("\u001b[33m404\u001b[39m");
    const widths = Bun.stripANSI(screen)
      .split("\n")
      .map((line) => line.length);
    expect(Math.max(...widths)).toBeLessThanOrEqual(90);
    expect(screen.match(/\d attempt/gu)).toHaveLength(2);
  });
});

describe("what is followed", () => {
  test("from the last ones on, filtered, across a restart of the relay without a gap; Ctrl-C ends it with 0", async () => {
    await using followed = await follow("--subscription", "one", "--json");
    const names = () =>
      followed
        .stdout()
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as DeliveryView).webhookId);
    await eventually(() => names().length === 1);
    await publish("two", "not asked for");
    await publish("one", "live");
    await eventually(() => names().length === 2);
    relay.signal("SIGTERM");
    await relay.exited;
    await eventually(() => followed.stderr().includes("waiting for it"));
    await publish("one", "meanwhile 1");
    await publish("one", "meanwhile 2");
    relay = await start();
    await eventually(() => names().length === 4);
    await publish("one", "after");
    await eventually(() => names().length === 5);
    expect(new Set(names()).size).toBe(5);
    expect(followed.stderr().split("\n")).toHaveLength(2);
    expect(await followed.end()).toBe(0);
  }, 120_000);

  test("ends quietly where nobody reads on", async () => {
    // Where it would not end by itself, it is not left behind.
    const command = `(timeout 15 "${BINARY}" logs --follow --limit 1; echo $? >&2) | head -2`;
    const child = Bun.spawn(["sh", "-c", command], {
      cwd: home,
      env: { PATH },
      stdout: "pipe",
      stderr: "pipe",
    });
    const reading = new Response(child.stdout).text();
    await eventually(async () => {
      await publish("one", "for whom it may concern");
      return child.exitCode !== null;
    });
    const shown = await reading;
    expect(await new Response(child.stderr).text()).toBe("0\n");
    expect(shown.trimEnd().split("\n")).toHaveLength(2);
  });
});
