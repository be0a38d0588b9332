// check with NATS, and check for programs: what goes where, and with which exit code it ends.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type CheckOptions, runCheck } from "#cli/check.ts";
import { testConfig } from "../support/config.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startTcpReceiver } from "../support/receiver.ts";
import { temporaryDirectory } from "../support/relay.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startNatsServer();
  await addStream(await server.connect());
});

afterAll(() => server[Symbol.asyncDispose]());

type Json = Readonly<Record<string, unknown>>;

/** What a finding has that is about no place in the file. */
const NOWHERE = {
  file: "FILE",
  line: null,
  column: null,
  path: null,
  found: null,
  allowed: null,
  suggestion: null,
};
const CALLBACK = "http://127.0.0.1:9000/";
const NATS_LOGIN = { type: "user", username: "relay", password: "hunter2-hunter2" };

async function check(config: Json | string, options: Partial<CheckOptions> = {}) {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
  const printed = { stdout: "", stderr: "" };
  const exitCode = await runCheck(
    { path, withoutSecrets: false, env: {}, ...options },
    {
      stdout: (text) => void (printed.stdout += text),
      stderr: (text) => void (printed.stderr += text),
    },
  );
  const shorten = (text: string) =>
    text.replaceAll(path, "FILE").replaceAll(/^  note: nats: .*older than 2\.10.*\n/gm, "");
  return { exitCode, stdout: shorten(printed.stdout), stderr: shorten(printed.stderr) };
}

const parse = (text: string) => JSON.parse(text) as Json & { readonly findings: readonly Json[] };

test("runCheck() tells what would become of a sound config, and ends with 0", async () => {
  const config = testConfig({ natsUrl: server.url, callbackUrl: CALLBACK, hasDeadLetters: true });
  const { exitCode, stdout, stderr } = await check(config, { connect: true });
  expect(stderr).toBe("");
  expect(stdout.split("\n")).toEqual([
    "FILE is valid: 2 endpoints, 1 entrypoint, 1 subscription",
    expect.stringMatching(/^Connected to nats:\/\/127\.0\.0\.1:\d+, nats-server 2\.\d+\.\d+$/),
    "  note: subscription sub: Consumer relay-sub of ORDERS will be created, with deliver policy all, or after what this host has done of it before",
    "  note: endpoint letters: Dead-letter stream DLQ does not exist: it will be created for dlq.>",
    "",
  ]);
  expect(exitCode).toBe(0);
});

test("runCheck() ends with 1, and says on standard error what would be refused", async () => {
  const config = testConfig({
    natsUrl: server.url,
    callbackUrl: CALLBACK,
    consumer: { subjects: ["invoices.>"] },
    qos: "AT_LEAST_ONCE",
    entrypoint: { ordering: { key: "subject", onFailure: "key" } },
  });
  const { exitCode, stdout, stderr } = await check(config, { connect: true });
  expect(stderr).toBe(
    "  error: subscription sub: Cannot consume ORDERS as relay-sub: the stream has no subject invoices.> (it has orders.>)\n",
  );
  expect(stdout.split("\n")[1]).toStartWith("Connected to nats://127.0.0.1:");
  expect(exitCode).toBe(1);
  expect((await check(config)).exitCode).toBe(0);
});

test("runCheck() ends with 1 where NATS cannot be reached", async () => {
  const config = testConfig({ natsUrl: "nats://127.0.0.1:1", callbackUrl: CALLBACK });
  const { exitCode, stdout, stderr } = await check(config, { connect: true });
  expect(stdout).toBe("FILE is valid: 1 endpoint, 1 entrypoint, 1 subscription\n");
  expect(stderr).toBe("  error: nats: Cannot reach nats://127.0.0.1:1: connection refused\n");
  expect(exitCode).toBe(1);
});

test("runCheck() ends with 1 where a stream is not there, and names the one that was meant", async () => {
  const sound = testConfig({ natsUrl: server.url, callbackUrl: CALLBACK });
  const config = JSON.stringify(sound).replace('"ORDERS"', '"ORDRES"');
  const { exitCode, stderr } = await check(config, { connect: true });
  expect(stderr).toBe(
    '  error: subscription sub: Stream ORDRES does not exist, and a relay would wait for it; did you mean "ORDERS"?\n',
  );
  expect(exitCode).toBe(1);
  expect((await check(config)).exitCode).toBe(0);
});

test("runCheck() ends with 1 where there are warnings, if it is strict", async () => {
  const of = (qos: "AT_MOST_ONCE" | "AT_LEAST_ONCE") =>
    testConfig({ natsUrl: server.url, callbackUrl: CALLBACK, qos });
  expect((await check(of("AT_MOST_ONCE"), { strict: true })).exitCode).toBe(1);
  expect((await check(of("AT_MOST_ONCE"))).exitCode).toBe(0);
  expect((await check(of("AT_LEAST_ONCE"), { strict: true })).exitCode).toBe(0);
});

test("runCheck() gives programs what was found, what is allowed and what was meant", async () => {
  const sound = testConfig({ natsUrl: server.url, callbackUrl: CALLBACK });
  const findingOf = async (text: string) => parse((await check(text, { json: true })).stdout).findings[0];
  const text = JSON.stringify(sound);
  expect(await findingOf(text.replace('"webhook"', '"webhok"'))).toMatchObject({
    found: '"webhok"',
    allowed: "webhook, webhook-advanced",
    suggestion: 'did you mean "webhook"?',
  });
  expect(await findingOf(text.replace('"subscriptions"', '"subscription"'))).toMatchObject({
    path: "subscription",
    found: "subscription",
    suggestion: 'did you mean "subscriptions"?',
  });
  expect(await findingOf(text.slice(0, -1))).toMatchObject({ line: 1, path: "", found: null });
});

test("runCheck() shows the line of a syntax error with a mark, and nothing that may be secret", async () => {
  const { exitCode, stderr } = await check('{\n  "nats": {\n    "auth": "hunter2" "tls": {}\n  }\n}\n');
  expect(stderr.split("\n")).toEqual([
    "FILE is not valid, 1 fault:",
    "  FILE:3:22 not valid JSON: a comma is missing here; write ,",
    '    3 | "auth": "***" "tls": {}',
    "      |              ^",
    "",
  ]);
  expect(exitCode).toBe(78);
});

test("runCheck() does not ask NATS about a file with faults", async () => {
  const { exitCode, stdout, stderr } = await check("{}", { connect: true });
  expect(stdout).toBe("");
  expect(stderr).toStartWith("FILE is not valid, 2 faults:\n");
  expect(exitCode).toBe(78);
});

test("runCheck() connects without the secrets, but for those of nats", async () => {
  const config = testConfig({
    natsUrl: server.url,
    callbackUrl: CALLBACK,
    subscription: { headers: [{ name: "X-Key", value: { env: "HOOK" } }] },
    more: { nats: { servers: [{ env: "NATS" }] } },
  });
  const options = { connect: true, withoutSecrets: true };
  const known = await check(config, { ...options, env: { NATS: server.url } });
  expect(known).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("Connected to ") });
  const unknown = await check(config, options);
  expect(unknown.stderr).toContain("nats.servers[0]: the environment variable NATS is not set");
  expect(unknown.stderr).not.toContain("HOOK");
  expect(unknown.exitCode).toBe(78);
});

test("runCheck() warns of credentials that only the service has, and checks the rest", async () => {
  const credential = "relay_not-on-this-host";
  const signature = { secrets: [{ credential }] };
  const subscription = { signature, headers: [{ name: "X-Key", value: { credential } }] };
  const config = testConfig({ natsUrl: server.url, callbackUrl: CALLBACK, subscription });
  const { exitCode, stdout } = await check(config, { connect: true });
  expect(stdout).toContain(
    `  warning: the credentials ${credential} were not looked at: CREDENTIALS_DIRECTORY is not set; systemd sets it for the service\n`,
  );
  expect(stdout).toContain("Connected to ");
  expect(exitCode).toBe(0);
  const inService = await check(config, { env: { CREDENTIALS_DIRECTORY: "/nowhere" } });
  expect(inService).toMatchObject({
    exitCode: 78,
    stderr: expect.stringContaining("cannot read /nowhere/relay_"),
  });
});

test("runCheck() shows no credentials of NATS that a server repeats, and takes no other text for a secret", async () => {
  const info = { server_id: "x", version: "2.10.0", max_payload: 1_048_576, auth_required: true, proto: 1 };
  await using hostile = await startTcpReceiver((socket) => {
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (chunk: Buffer) => {
      const password = /"pass":"([^"]*)"/.exec(chunk.toString())?.[1] ?? "";
      socket.end(`-ERR 'Authorization Violation \u202eof ${password}'\r\n`);
    });
  });
  const config = testConfig({
    natsUrl: `nats://127.0.0.1:${hostile.port}`,
    callbackUrl: CALLBACK,
    subscription: { headers: [{ name: "X-Key", value: "Violation" }] },
    more: { nats: { servers: [`nats://127.0.0.1:${hostile.port}`], auth: NATS_LOGIN } },
  });
  const { stderr } = await check(config, { connect: true });
  expect(stderr).toContain("Authorization Violation \\u202eof ***");
});

test("runCheck() prints one JSON document about a sound file", async () => {
  const config = testConfig({
    natsUrl: server.url,
    callbackUrl: CALLBACK,
    qos: "AT_MOST_ONCE",
    entrypoint: {
      ordering: { key: "subject", onFailure: "key" },
      headers: [{ name: "Accept", value: "text/plain" }],
    },
  });
  const { exitCode, stdout, stderr } = await check(config, { json: true });
  expect(stderr).toBe("");
  expect(exitCode).toBe(0);
  expect(parse(stdout)).toEqual({
    path: "FILE",
    valid: true,
    endpoints: 1,
    entrypoints: 1,
    subscriptions: 1,
    references: [],
    findings: [
      {
        ...NOWHERE,
        level: "warning",
        about: "config",
        line: 1,
        column: expect.any(Number),
        path: "entrypoints[0].qos",
        message: expect.stringContaining("one relay only"),
      },
      {
        ...NOWHERE,
        level: "warning",
        about: "config",
        line: 1,
        column: expect.any(Number),
        path: "entrypoints[0].configuration.ordering",
        message: "it does nothing under AT_MOST_ONCE yet",
      },
      {
        ...NOWHERE,
        level: "note",
        about: "config",
        message: expect.stringContaining("subscriptions made by API do not get them"),
      },
    ],
  });
});

test("runCheck() adds to the JSON document what NATS says", async () => {
  const config = testConfig({
    natsUrl: server.url,
    callbackUrl: CALLBACK,
    consumer: { subjects: ["invoices.>"] },
  });
  const { exitCode, stdout, stderr } = await check(config, { json: true, connect: true });
  expect(stderr).toBe("");
  expect(exitCode).toBe(1);
  const { valid, server: reached, findings } = parse(stdout);
  expect(valid).toBe(true);
  expect(reached).toEqual({ url: `nats://127.0.0.1:${server.port}`, version: expect.any(String) });
  expect(findings.at(-1)).toMatchObject({ level: "error", about: "subscription sub" });
  const absent = testConfig({ natsUrl: "nats://127.0.0.1:1", callbackUrl: CALLBACK });
  expect(parse((await check(absent, { json: true, connect: true })).stdout)["server"]).toBeNull();
});

test("runCheck() prints the faults of a file as JSON, and ends with 78", async () => {
  const { exitCode, stdout, stderr } = await check('{\n  "endpoints": []\n}', { json: true });
  expect(stderr).toBe("");
  expect(exitCode).toBe(78);
  expect(parse(stdout)).toEqual({
    path: "FILE",
    valid: false,
    findings: [
      {
        level: "error",
        about: "config",
        file: "FILE",
        line: 1,
        column: 1,
        path: "entrypoints",
        message: "missing, allowed: a list of 1 to 1000",
        found: null,
        allowed: "a list of 1 to 1000",
        suggestion: "relay init --print shows a whole config",
      },
      {
        level: "error",
        about: "config",
        file: "FILE",
        line: 2,
        column: 16,
        path: "endpoints",
        message: "found a list of 0, allowed: a list of 1 to 1000",
        found: "a list of 0",
        allowed: "a list of 1 to 1000",
        suggestion: null,
      },
    ],
  });
  const broken = parse((await check("{", { json: true })).stdout);
  expect(broken.findings.length).toBeGreaterThan(0);
});
