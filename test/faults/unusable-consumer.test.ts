// A consumer that cannot be used, though NATS is connected: readiness says so within 5 s, with the reason, and is green again
// within seconds once it can be used. The log says each reason once. A consumer that only rests never turns red.

import { jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readReadiness } from "../support/metrics.ts";
import {
  fetchNatsServer,
  type NatsServer,
  startNatsCluster,
  startNatsServer,
} from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

const AUTH = { type: "user", username: "relay", password: "relay123" };
const QUALITIES = [["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"], ["NONE"]] as const;
/** The 5 s of the README, and what a busy machine takes. */
const WITHIN_MS = 20_000;

function accounts({ jetstream = "enabled", deny = "none" } = {}): string {
  return `system_account: SYS
  accounts {
    SYS { users: [ { user: sys, password: sys } ] }
    OTHER { jetstream: enabled, users: [ { user: other, password: other } ] }
    A { jetstream: ${jetstream}, users: [
      { user: admin, password: admin },
      { user: relay, password: relay123, permissions { publish { allow: ">", deny: "${deny}" } } } ] } }`;
}

/** As an operator does: edits the config file, and says so. */
async function reload(server: NatsServer, before: string, after: string): Promise<void> {
  const path = join(server.directory, "nats.conf");
  const text = await readFile(path, "utf8");
  expect(text).toContain(before);
  await writeFile(path, text.replace(before, after));
  server.signal("SIGHUP");
}

interface Lab extends AsyncDisposable {
  readonly server: NatsServer;
  readonly admin: NatsConnection;
  readonly receiver: ScriptedReceiver;
  readonly relay: RelayProcess;
}

/** A relay that signs in to an account, whose rights the test changes. */
async function openLab({
  qos,
  configText = accounts(),
}: {
  qos: NonNullable<ConfigOptions["qos"]>;
  configText?: string;
}): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer({ configText }));
  const admin = await server.connect({ user: "admin", pass: "admin" });
  await addStream(admin);
  const receiver = stack.use(await startScriptedReceiver());
  const config = testConfig({ natsUrl: server.url, callbackUrl: `${receiver.url}/sub`, qos });
  const relay = stack.use(
    await startRelay({ config: { ...config, nats: { servers: [server.url], auth: AUTH } } }),
  );
  const owned = stack.move();
  return { server, admin, receiver, relay, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function waits(relay: RelayProcess): readonly unknown[] {
  return relay.logs.filter(({ message }) => message === "Subscription waits").map(({ reason }) => reason);
}

/** Resolves with the reasons. */
async function turnsRed(relay: RelayProcess): Promise<string> {
  const startedAt = performance.now();
  const { reasons } = await eventually(async () => {
    const readiness = await readReadiness(relay);
    return readiness.status === 503 && readiness;
  });
  expect(performance.now() - startedAt).toBeLessThan(WITHIN_MS);
  return reasons.join("\n");
}

async function turnsGreen(relay: RelayProcess): Promise<void> {
  await eventually(async () => (await readReadiness(relay)).status === 200, { withinMs: 15_000 });
}

test.concurrent.each(QUALITIES)(
  "%s: JetStream is taken away from the account by a reload, and given back",
  async (qos) => {
    await using lab = await openLab({ qos });
    const { server, admin, receiver, relay } = lab;
    await turnsGreen(relay);
    await reload(server, accounts(), accounts({ jetstream: "disabled" }));
    expect(await turnsRed(relay)).toMatch(/Cannot (consume ORDERS as|read consumer) relay-sub/);
    await reload(server, accounts({ jetstream: "disabled" }), accounts());
    await turnsGreen(relay);
    await eventually(() => admin.request("orders.x", JSON.stringify({ name: "1" }), { timeout: 500 }));
    await eventually(() => receiver.names("/sub").includes("1"));
    expect(new Set(waits(relay)).size).toBe(waits(relay).length);
  },
  120_000,
);

test.concurrent.each(QUALITIES)(
  "%s: publish on MSG.NEXT is denied by a reload, and allowed again",
  async (qos) => {
    await using lab = await openLab({ qos });
    const { server, admin, receiver, relay } = lab;
    await turnsGreen(relay);
    const denied = accounts({ deny: "$JS.API.CONSUMER.MSG.NEXT.>" });
    await reload(server, accounts(), denied);
    // The pull that is out may go on until it expires.
    const reasons = await turnsRed(relay);
    expect(reasons).toMatch(/Cannot consume ORDERS as relay-sub: .*MSG\.NEXT/);
    await reload(server, denied, accounts());
    await turnsGreen(relay);
    await admin.request("orders.x", JSON.stringify({ name: "1" }));
    await eventually(() => receiver.names("/sub").includes("1"));
    expect(new Set(waits(relay)).size).toBe(waits(relay).length);
  },
  120_000,
);

test.concurrent.each([["AUTO"], ["AT_LEAST_ONCE"], ["AT_MOST_ONCE"]] as const)(
  "%s: publish on the ack subjects is denied by a reload, and allowed again",
  async (qos) => {
    await using lab = await openLab({ qos });
    const { server, admin, receiver, relay } = lab;
    await turnsGreen(relay);
    const denied = accounts({ deny: "$JS.ACK.>" });
    await reload(server, accounts(), denied);
    await eventually(async () =>
      (await readFile(join(server.directory, "log"), "utf8")).includes("Reloaded server"),
    );
    for (const name of ["1", "2", "3"]) await admin.request("orders.x", JSON.stringify({ name }));
    expect(await turnsRed(relay)).toMatch(/Cannot consume ORDERS as relay-sub: its acks are refused: .*ACK/);
    // It stays so, whatever else goes well.
    const until = performance.now() + 4000;
    await eventually(async () => {
      expect((await readReadiness(relay)).status).toBe(503);
      return performance.now() > until;
    });
    await reload(server, denied, accounts());
    await turnsGreen(relay);
    await eventually(() => ["1", "2", "3"].every((name) => receiver.names("/sub").includes(name)));
    expect(receiver.names("/sub").length).toBe(3);
    expect(waits(relay).length).toBe(1);
  },
  120_000,
);

test("publish on MSG.NEXT is denied from the start: not ready, and each reason is logged once", async () => {
  const deny = "$JS.API.CONSUMER.MSG.NEXT.>";
  await using lab = await openLab({ qos: "AUTO", configText: accounts({ deny }) });
  const { relay } = lab;
  await relay.logged("Consuming");
  expect(await turnsRed(relay)).toContain("MSG.NEXT");
  const until = performance.now() + 5000;
  await eventually(async () => {
    expect((await readReadiness(relay)).status).toBe(503);
    return performance.now() > until;
  });
  expect(waits(relay).length).toBe(1);
}, 120_000);

test.each<[qos: "AUTO" | "NONE", whose: string]>([
  ["AUTO", "gone"],
  ["AUTO", "left"],
  ["NONE", "gone"],
  ["NONE", "left"],
])(
  "%s: two of three servers are gone, and come back; the leader of the consumer is among the %s",
  async (qos, whose) => {
    await using cluster = await startNatsCluster();
    const [first, ...others] = cluster.servers;
    if (first === undefined) throw new Error("no server");
    const client = await first.connect();
    await eventually(() => addStream(client, { num_replicas: 3 }).then(() => true));
    await using receiver = await startScriptedReceiver();
    const config = testConfig({ natsUrl: first.url, callbackUrl: `${receiver.url}/sub`, qos });
    await using relay = await startRelay({ config });
    await relay.logged("Consuming");
    await eventually(async () => {
      const answer = await client.request("$JS.API.CONSUMER.INFO.ORDERS.relay-sub", "", { timeout: 500 });
      const { cluster: group } = answer.json<{ cluster: { leader: string } }>();
      if ((group.leader === "n1") === (whose === "left")) return true;
      await client.request("$JS.API.CONSUMER.LEADER.STEPDOWN.ORDERS.relay-sub", "", { timeout: 500 });
      await Bun.sleep(500); // Until there is another one.
      return false;
    });
    await turnsGreen(relay);
    await Promise.all(others.map((server) => server.kill()));
    await turnsRed(relay);
    await Promise.all(others.map((server) => server.restart()));
    await eventually(async () => (await readReadiness(relay)).status === 200, { withinMs: 40_000 });
    const publish = () => client.request("orders.x", JSON.stringify({ name: "1" }), { timeout: 1000 });
    await eventually(async () => !("error" in (await publish()).json<object>()));
    await eventually(() => receiver.names("/sub").includes("1"));
    expect(new Set(waits(relay)).size).toBe(waits(relay).length);
  },
  120_000,
);

test("a consumer that only rests, or whose callback is slow, never turns red", async () => {
  await using server = await startNatsServer();
  const client = await server.connect();
  await addStream(client);
  await using receiver = await startScriptedReceiver();
  const relays = await Promise.all(
    QUALITIES.flatMap(([qos]) =>
      ["idle", "slow"].map((kind) => {
        const id = `${kind}-${qos}`;
        const config = testConfig({ natsUrl: server.url, callbackUrl: `${receiver.url}/${id}`, qos });
        const [subscription] = config["subscriptions"] as readonly { configuration: object }[];
        const own = {
          ...subscription,
          id,
          configuration: { ...subscription?.configuration, channel: `orders.${kind}` },
        };
        return startRelay({ config: { ...config, subscriptions: [own] } });
      }),
    ),
  );
  await using stack = new AsyncDisposableStack();
  for (const relay of relays) stack.use(relay);
  await Promise.all(relays.map(turnsGreen));
  for (let n = 0; n < 100; n += 1)
    client.publish("orders.slow", JSON.stringify({ name: "1", answers: ["hang"] }));
  const until = performance.now() + 8500;
  await eventually(
    async () => {
      for (const relay of relays) expect(await readReadiness(relay)).toMatchObject({ status: 200 });
      return performance.now() > until;
    },
    { withinMs: 15_000 },
  );
  for (const relay of relays) expect(waits(relay)).toEqual([]);
}, 120_000);

// 2,200 log lines in 5 s: each pull was refused, and the consumer aligned and found to be as it should at once.
test("a consumer whose pulls are refused for its priority groups is put right, and delivers", async () => {
  await using server = await startNatsServer({ binary: fetchNatsServer() });
  const client = await server.connect();
  await addStream(client);
  const { consumers } = await jetstreamManager(client);
  await consumers.add("ORDERS", {
    durable_name: "relay-sub",
    ack_policy: "explicit",
    ack_wait: 5_000_000_000,
    priority_groups: ["A"],
    priority_policy: "overflow",
  } as never);
  await using receiver = await startScriptedReceiver();
  const config = testConfig({ natsUrl: server.url, callbackUrl: `${receiver.url}/sub` });
  await using relay = await startRelay({ config });
  expect((await relay.logged("Consuming"))["change"]).toBe("updated");
  await eventually(async () => (await readReadiness(relay)).status === 200);
  expect((await consumers.info("ORDERS", "relay-sub")).config.priority_groups).toBeUndefined();
  expect(waits(relay)).toEqual([]);
}, 120_000);
