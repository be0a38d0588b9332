// A relay whose NATS account may do what the README lists, and nothing else: it needs all of that, and no more.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openBucket } from "#bucket/bucket.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric } from "../support/metrics.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected } from "../support/nats.ts";
import { README } from "../support/readme.ts";
import { type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

const [, permissions = ""] =
  /```conf\n(permissions \{[\s\S]*?\n\})\n```/.exec(await Bun.file(README).text()) ?? [];
const [publish = ""] = permissions.split("subscribe:");
const wanted = [...publish.matchAll(/"([^"]+)"/g)].map(([, subject = ""]) => subject);

const AUTH = { type: "user", username: "relay", password: "secret123" } as const;
/** More than a relay leaves in the bucket of marks of what was removed. */
const REMOVALS = 600;

let nats: NatsServer;
let admin: NatsConnection;
/** What the account of the relay has sent. */
const used = new Set<string>();

beforeAll(async () => {
  nats = await startNatsServer({
    configText: `accounts { A { jetstream: enabled, users: [
      { user: relay, password: secret123, ${permissions} },
      { user: admin, password: admin } ] } }`,
  });
  admin = await nats.connect({ user: "admin", pass: "admin" });
  await addStream(admin);
  admin.subscribe(">", {
    callback(_, msg) {
      const match = wanted.find((pattern) => matches(pattern, msg.subject));
      if (match !== undefined) used.add(match);
    },
  });
  await admin.flush();
});

afterAll(() => nats[Symbol.asyncDispose]());

function matches(pattern: string, subject: string): boolean {
  const [tokens, found] = [pattern.split("."), subject.split(".")];
  if (tokens.at(-1) === ">")
    return tokens.slice(0, -1).every((token, i) => token === "*" || token === found[i]);
  return tokens.length === found.length && tokens.every((token, i) => token === "*" || token === found[i]);
}

async function isEnded(
  relay: RelayProcess,
  wantedCounts: Readonly<Record<string, number>>,
): Promise<boolean> {
  const counts = Object.entries(wantedCounts).map(
    async ([ending, count]) => (await readMetric(relay, "relay_messages_total", { ending })) === count,
  );
  return (await Promise.all(counts)).every(Boolean);
}

async function command(relay: RelayProcess, name: string, body: object): Promise<void> {
  const response = await fetch(`${await relay.url()}/api/subscriptions/sub/${name}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
}

test("a relay runs with the permissions in the README", async () => {
  await using receiver = await startScriptedReceiver();
  await using directory = await temporaryDirectory();
  const config = {
    ...testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub`, qos: "AT_LEAST_ONCE" }),
    nats: { servers: [nats.url], auth: AUTH },
    endpoints: [
      { name: "orders", type: "jetstream", consumer: { stream: "ORDERS", ackWaitSeconds: 5 } },
      {
        name: "letters",
        type: "jetstream",
        producer: { stream: "DEAD_LETTERS", subject: "dead-letters", create: true },
      },
    ],
    entrypoints: [
      { type: "webhook", endpoint: "orders", qos: "AT_LEAST_ONCE", dlq: { endpoint: "letters" } },
    ],
    shutdown: { graceSeconds: 0 },
  };
  const path = join(directory.path, "relay.config.json");
  await writeFile(path, JSON.stringify(config));
  const checked = await runRelay(["check", "--connect", "--config", path]);
  expect(checked).toMatchObject({ exitCode: 0, stderr: "" });
  expect(checked.stdout).not.toContain("ermission");

  await using relay = await startRelay({ config, directory: directory.path });
  await eventually(() => isInState(relay, "sub", "running"));
  const publish = (name: string, answers: readonly unknown[]) =>
    jetstream(admin).publish("orders.a", JSON.stringify({ name, answers }));
  // Where there is no stream to answer, `admin` hears the letters, and they wait for an answer in vain.
  const manager = await jetstreamManager(admin);
  await eventually(() => manager.streams.info("DEAD_LETTERS"));
  await publish("good", [200]);
  await publish("bad", [404, 404, 200]);
  await eventually(() => isEnded(relay, { delivered: 1, "dead-lettered": 1 }));
  await eventually(async () => (await readMetric(relay, "relay_bucket_usable")) === 1);
  await command(relay, "pause", {});
  await command(relay, "resume", {});
  await command(relay, "seek", { sequence: 2 });
  await eventually(() => isEnded(relay, { "dead-lettered": 2 }));
  await eventually(() => used.has("$JS.API.CONSUMER.LIST.ORDERS"));
  const listed = await fetch(`${await relay.url()}/api/dead-letters?subscription=sub`);
  const { items, faults } = (await listed.json()) as { items: readonly object[]; faults: readonly string[] };
  expect([items.length, faults]).toEqual([1, []]);
  const replay = await fetch(`${await relay.url()}/api/replays`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{ "filter": {} }',
  });
  expect(replay.status).toBe(202);
  await eventually(() => isEnded(relay, { delivered: 2 }));
  await eventually(async () => (await manager.streams.info("DEAD_LETTERS")).state.messages === 0);
  await publish("again", ["hang", 200]);
  await eventually(() => receiver.inFlight === 1);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);

  await using next = await startRelay({ config, directory: directory.path });
  await eventually(() => isEnded(next, { delivered: 1 }));
  expect(JSON.stringify([...relay.logs, ...next.logs])).not.toMatch(/permission/i);
}, 120_000);

test("a bucket that has seen much runs with them, too", async () => {
  const { username, password } = AUTH;
  await using connection = await connected(nats.url, { auth: { kind: "user", username, password } });
  const bucket = openBucket(connection, {
    name: "relay",
    logger: connection.logger,
    commandPath: null,
    signer: null,
  });
  const signal = AbortSignal.timeout(20_000);
  expect(await bucket.ready(signal)).toBe(true);
  for (let i = 0; i < REMOVALS; i += 1) bucket.put(`state.s${i}`, "1");
  await eventually(() => bucket.list("state.s").every(({ revision }) => revision > 0));
  for (let i = 0; i < REMOVALS; i += 1) bucket.remove(`state.s${i}`);
  expect(await bucket.write("state.a", "1", { expectedRevision: 7, signal })).toMatchObject({
    kind: "conflict",
  });
  const value = "x".repeat(250_000);
  for (let i = 0; i < 40; i += 1) bucket.put(`state.big${i}`, value);
  await eventually(() => bucket.list("state.big").every(({ revision }) => revision > 0));
  const again = openBucket(connection, {
    name: "relay",
    logger: connection.logger,
    commandPath: null,
    signer: null,
  });
  expect(await again.ready(signal)).toBe(true);
  expect(again.list("state.big")).toHaveLength(40);
  await eventually(() => used.has("$JS.API.STREAM.MSG.DELETE.KV_relay"));
  await Promise.all([bucket.close(), again.close()]);
  expect(JSON.stringify(connection.logger.lines)).not.toMatch(/permission/i);
}, 120_000);

test("each of them is needed", async () => {
  await admin.flush();
  expect(wanted.length).toBeGreaterThan(15);
  expect(wanted.filter((subject) => !used.has(subject))).toEqual([]);
});
