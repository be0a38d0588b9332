// No secret comes out: whatever fails, and however loud the log is, none is in anything but what callbacks and their like get.

import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Json, labConfig, type LabServer, startLab, startLabServer } from "../support/callback-lab.ts";
import { eventually } from "../support/eventually.ts";
import { toFaultyFiles } from "../support/faulty-files.ts";
import { startLeakyReceivers } from "../support/leaky-receivers.ts";
import { createLeakyWays } from "../support/leaky-ways.ts";
import { createSecretPurse, type SecretPurse } from "../support/leaks.ts";
import { type RelayProcess, runRelay, temporaryDirectory } from "../support/relay.ts";

const TIMEOUT_MS = 300_000;
/** What came out, by where. */
type Outlet = Map<string, string>;

/** Each of them is sent somewhere by some way, so that a search that finds none of them is no search. */
const SENT = [
  "basic password",
  "token",
  "token in a file",
  "header",
  "bearer in a header",
  "query",
  "client secret",
  "client secret by reference",
  "parameter of a token request",
  "query of a token endpoint",
  "access token",
  "password of forwarding",
  "password of tunnel",
];
/** Calls of which the callback repeats everything in its answer, which a test of the subscription shows. */
const ECHOED = ["basic-401", "token-500", "file-401", "header-500", "query-401", "granted"];

test(
  "no secret is in logs, metrics, answers, reports, letters, events, the bucket or the state",
  async () => {
    await using stack = new AsyncDisposableStack();
    const purse = createSecretPurse();
    const natsPassword = purse.markPlain("nats password");
    const login = `authorization { user: "relay", password: "${natsPassword}" }`;
    const server = stack.use(await startLabServer(login));
    const client = await server.nats.connect({ user: "relay", pass: natsPassword });
    const directory = stack.use(await temporaryDirectory()).path;
    const accessToken = purse.markPlain("access token");
    const receivers = stack.use(await startLeakyReceivers({ accessToken }));
    const { ways, env, systemProxy } = await createLeakyWays({ purse, receivers, directory });
    const outlet: Outlet = new Map();
    const events = collectEvents(client);
    const token = purse.markPlain("server token");
    const stateKey = randomBytes(32).toString("base64");
    purse.keep("state.key", stateKey.slice(0, 40));
    const more = {
      nats: { servers: [server.nats.url], auth: { type: "user", username: "relay", password: natsPassword } },
      server: { listen: "127.0.0.1:0", auth: { type: "token", value: token } },
      state: { directory: "state", key: stateKey },
      system: { proxy: systemProxy },
    };

    const relay = stack.use(await startLab(server, ways, { more, env, directory }));
    const api = createApi(relay, { token, outlet });
    await addByApi(api, { server, purse });
    const left = new Set([...ways.map(({ id }) => id), "by-api"]);
    await eventually(() => areDone(api, { server, left }), { withinMs: 60_000, what: "all ways" });
    for (const path of [
      "/metrics",
      "/livez",
      "/readyz",
      "/api/status",
      "/api/config",
      "/api/subscriptions",
    ]) {
      expect(await api.get(path)).toBe(200);
    }
    for (const id of [...ways.map((way) => way.id), "by-api"]) {
      expect(await api.get(`/api/subscriptions/${id}`)).toBe(200);
    }
    for (const id of ECHOED) {
      expect(await api.send("POST", `/api/subscriptions/${id}-kept/test`, {})).toBe(200);
      expect(outletOf(outlet, `${id}-kept/test`)).toMatch(/"body":"[^"]*\*\*\*/);
    }
    await api.get("/nowhere", `Bearer ${purse.markPlain("wrong server token")}`);

    const config = join(directory, "relay.config.json");
    await keepChecks(config, { outlet, env });
    const [first = { id: "", call: {} }] = ways;
    const sound = labConfig(server, [{ id: first.id, call: { callbackUrl: "http://127.0.0.1:9/" } }]);
    await keepFaults(toFaultyFiles(sound, purse), { directory, outlet });
    const [faulty = ""] = Object.values(toFaultyFiles(labConfig(server, ways, more), purse));
    await writeFile(config, faulty);
    expect(await api.send("POST", "/api/reload", {})).toBe(422);
    await api.get("/api/status");
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);

    outlet.set("log", [...relay.logs.map((line) => JSON.stringify(line)), ...relay.output].join("\n"));
    outlet.set("stderr", relay.stderr());
    outlet.set("events", events.join("\n"));
    await keepEnvironment(server, { purse, outlet, nats: more.nats });
    await keepLetters(await jetstreamManager(client), outlet);
    await keepFiles(join(directory, "state"), outlet);

    const letters = [...outlet.keys()].filter((name) => name.startsWith("letter "));
    expect(letters.length).toBeGreaterThanOrEqual(ways.length / 2);
    expect(events.length).toBeGreaterThan(ways.length / 4);
    expect(outlet.get("log")).toContain("Subscription interrupted");
    const found = purse.findIn(receivers.received());
    for (const name of SENT) expect(found).toContain(name);
    const leaks = [...outlet].flatMap(([where, text]) =>
      purse.findIn(text).map((name) => `${name} is in ${where}: ${text.slice(0, 400)}`),
    );
    expect(leaks).toEqual([]);
  },
  TIMEOUT_MS,
);

/** The text of the one outlet whose name has this in it. */
function outletOf(outlet: Outlet, part: string): string {
  return [...outlet].find(([name]) => name.includes(part))?.[1] ?? "";
}

interface Api {
  /** With the token of the server, unless told otherwise; resolves with the status. */
  readonly get: (path: string, authorization?: string) => Promise<number>;
  readonly send: (method: string, path: string, body: object) => Promise<number>;
  readonly stateOf: (id: string) => Promise<string>;
}

/** All that it answers goes to the outlet, headers too. */
function createApi(relay: RelayProcess, { token, outlet }: { token: string; outlet: Outlet }): Api {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  async function call(path: string, init: RequestInit): Promise<Response> {
    const response = await fetch(`${await relay.url()}${path}`, init);
    const text = await response.clone().text();
    const name = `${init.method ?? "GET"} ${path} (${outlet.size})`;
    outlet.set(name, `${JSON.stringify([...response.headers])}\n${text}`);
    return response;
  }
  return {
    get: async (path, authorization = headers.authorization) =>
      (await call(path, { headers: { authorization } })).status,
    send: async (method, path, body) =>
      (await call(path, { method, headers, body: JSON.stringify(body) })).status,
    async stateOf(id) {
      const response = await fetch(`${await relay.url()}/api/subscriptions/${id}`, { headers });
      return ((await response.json()) as { consumerStatus: string }).consumerStatus;
    },
  };
}

/** Takes those that are done from `left`. */
async function areDone(
  api: Api,
  { server, left }: { server: LabServer; left: Set<string> },
): Promise<boolean> {
  for (const id of left) {
    if ((await api.stateOf(id)) !== "FAILURE" && !(await server.isThrough(id))) return false;
    left.delete(id);
  }
  return true;
}

/** One that is taken and fails, for loopback is denied there, and some that are refused. */
async function addByApi(
  api: Api,
  { server, purse }: { server: LabServer; purse: SecretPurse },
): Promise<void> {
  const body = (id: string, more: Json) => ({
    id,
    configuration: {
      entrypointId: "basic-401-stopped",
      channel: "in.by-api",
      deliverPolicy: "all",
      callbackUrl: `http://localhost:9/?key=${purse.markPlain(`query by API, ${id}`)}`,
      headers: [{ name: "X-Key", value: purse.mark(`header by API, ${id}`) }],
      auth: { type: "basic", basic: { username: "relay", password: purse.mark(`password by API, ${id}`) } },
      ...more,
    },
  });
  await server.publish("by-api");
  await eventually(async () => (await api.send("POST", "/api/subscriptions", body("by-api", {}))) === 201);
  for (const more of [
    { auth: { type: "token", token: { value: [purse.markPlain("refused by API")] } } },
    { signature: { secrets: [purse.markPlain("key refused by API")] } },
    { callbackUrl: `http://relay:${purse.markPlain("user refused by API")}@127.0.0.1/` },
    { unknown: purse.markPlain("unknown by API") },
  ]) {
    expect(await api.send("POST", "/api/subscriptions", body("refused", more))).toBe(422);
  }
}

function collectEvents(client: NatsConnection): readonly string[] {
  const events: string[] = [];
  client.subscribe("relay.events.>", { callback: (_error, message) => void events.push(message.string()) });
  return events;
}

async function keepChecks(
  config: string,
  { outlet, env, name = "" }: { outlet: Outlet; env?: Readonly<Record<string, string>>; name?: string },
): Promise<readonly number[]> {
  const options = env === undefined ? {} : { env: { PATH: process.env["PATH"] ?? "", ...env } };
  const runs = [[], ["--json"]].map(async (more) => {
    const { exitCode, stdout, stderr } = await runRelay(["check", "--config", config, ...more], options);
    outlet.set(`check ${more.join("")} ${name}`, stdout + stderr);
    return exitCode;
  });
  return Promise.all(runs);
}

async function keepFaults(
  files: Readonly<Record<string, string>>,
  { directory, outlet }: { directory: string; outlet: Outlet },
): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, `faulty-${name}.json`);
    await writeFile(path, text);
    expect([name, ...(await keepChecks(path, { outlet, name }))]).toEqual([name, 78, 78]);
  }
}

/** The proxy of the environment: one that is not there, and one that is none. */
async function keepEnvironment(
  server: LabServer,
  { purse, outlet, nats }: { purse: SecretPurse; outlet: Outlet; nats: Json },
): Promise<void> {
  const through = { proxy: { enabled: true, useSystemProxy: true }, interruptConsumptionOnException: false };
  const ways = [{ id: "environment", call: { callbackUrl: "http://127.0.0.1:9/" }, through }];
  for (const scheme of ["http", "ftp"]) {
    const password = encodeURIComponent(purse.mark(`password of the environment's proxy, ${scheme}`));
    await using relay = await startLab(server, ways, {
      more: { nats },
      env: { HTTP_PROXY: `${scheme}://relay:${password}@127.0.0.1:9` },
    });
    if (scheme === "http") {
      await relay.logged("Message dead-lettered");
      relay.signal("SIGTERM");
    }
    expect(await relay.exited).toBe(scheme === "http" ? 0 : 78);
    const lines = relay.logs.map((line) => JSON.stringify(line));
    outlet.set(`log with a proxy of the environment, ${scheme}`, [...lines, relay.stderr()].join("\n"));
  }
}

/** Of dead letters the headers, of the bucket everything. */
async function keepLetters(manager: JetStreamManager, outlet: Outlet): Promise<void> {
  for (const stream of ["DLQ", "KV_relay"]) {
    const { state } = await manager.streams.info(stream);
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const message = await manager.streams.getMessage(stream, { seq });
      if (message === null) continue;
      const text = `${message.subject} ${JSON.stringify([...message.header])}`;
      if (stream === "DLQ") outlet.set(`letter ${message.subject}`, text);
      else outlet.set(`bucket ${message.subject} (${seq})`, `${text}\n${message.string()}`);
    }
  }
}

async function keepFiles(directory: string, outlet: Outlet): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((candidate) => candidate.isFile())) {
    const path = join(entry.parentPath, entry.name);
    outlet.set(path, await readFile(path, "latin1"));
  }
}
