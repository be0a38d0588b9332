// A config held against real servers: how it is reached, and that looking changes nothing.

import { describe, expect, test } from "bun:test";

import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { type Inspection, inspectNats } from "#inspect/inspect.ts";

import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, natsSettings } from "../support/nats.ts";
import { CREATE, found, letters, subscription } from "./inspections.ts";

function inspect(servers: readonly string[]): Promise<Inspection> {
  return inspectNats(natsSettings(servers), [subscription()], {
    bucket: "relay",
    signal: new AbortController().signal,
  });
}

describe("inspectNats() about NATS", () => {
  test("inspectNats() names the server, and notes a version before 2.10", async () => {
    await using server = await startNatsServer();
    const version = (await server.connect()).info?.version ?? "";
    const { server: reached, findings } = await inspect([server.url]);
    expect(reached).toEqual({ url: `nats://127.0.0.1:${server.port}`, version });
    const notes = findings.filter(({ message }) => message.includes("older than 2.10"));
    expect(notes).toHaveLength(version.startsWith("2.9.") ? 1 : 0);
  });

  test("inspectNats() reports a refused connection at once", async () => {
    const before = performance.now();
    const { server: reached, findings } = await inspect(["nats://127.0.0.1:1"]);
    expect(reached).toBeNull();
    expect(findings).toEqual([
      { level: "error", about: "nats", message: "Cannot reach nats://127.0.0.1:1: connection refused" },
    ]);
    // Not after the 5 s of a server that is silent.
    expect(performance.now() - before).toBeLessThan(4900);
  });

  test("inspectNats() tries the next server of the list", async () => {
    await using server = await startNatsServer();
    const { server: reached } = await inspect(["nats://127.0.0.1:1", server.url]);
    expect(reached).not.toBeNull();
  });

  test("inspectNats() waits 5 s for a silent server", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const before = performance.now();
    const lines = await found([], natsSettings([`nats://127.0.0.1:${silent.port}`]));
    expect(lines).toEqual([`error nats: Cannot reach nats://127.0.0.1:${silent.port}: no answer in time`]);
    expect(performance.now() - before).toBeLessThan(15_000);
  });

  test("inspectNats() ends when its signal aborts", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const settings = natsSettings([`nats://127.0.0.1:${silent.port}`]);
    const { findings } = await inspectNats(settings, [], {
      bucket: "relay",
      signal: AbortSignal.timeout(100),
    });
    expect(findings.map(({ message }) => message).join()).toContain("stopped");
  });

  test("inspectNats() reports refused credentials without showing them", async () => {
    await using guarded = await startNatsServer({ configText: "authorization { token: hunter22 }" });
    const wrong = natsSettings([guarded.url], { auth: { kind: "token", value: "hunter23" } });
    const lines = await found([subscription()], wrong);
    expect(lines).toEqual([`error nats: Cannot reach ${guarded.url}: it does not accept the credentials`]);
  });

  test("inspectNats() names the subscriptions whose JetStream does not answer", async () => {
    await using plain = await startNatsServer({ jetstream: false });
    const all = ["a", "b", "c", "d", "e", "f"].map((id) => subscription({ id }));
    expect(await found(all, natsSettings([plain.url]))).toEqual([
      "error nats: JetStream does not answer: subscriptions a, b, c, d, e and 1 more cannot run",
      "warning state.bucket: Bucket relay: JetStream does not answer: no state can be kept",
    ]);
    await using server = await startNatsServer();
    expect(await found([subscription({ domain: "hub" })], natsSettings([server.url]))).toEqual([
      "error nats: JetStream domain hub does not answer: subscription billing cannot run",
    ]);
  });

  test("inspectNats() names missing permissions, and continues without those that it does not need", async () => {
    const user = (publish: string) =>
      `{ user: relay, password: secret123, permissions: { publish: [${publish}], subscribe: ["_INBOX.>"] } }`;
    const account = (publish: string) =>
      `accounts { A { jetstream: enabled, users: [${user(publish)}, { user: admin, password: admin }] } }`;
    await using narrow = await startNatsServer({
      configText: account('"$JS.API.STREAM.INFO.Q", "$JS.API.CONSUMER.INFO.Q.>"'),
    });
    const admin = await narrow.connect({ user: "admin", pass: "admin" });
    await addStream(admin, { name: "Q", subjects: ["q.>"], retention: "workqueue" });
    const auth = { kind: "user", username: "relay", password: "secret123" } as const;
    const lines = await found(
      [subscription({ stream: "Q" }), subscription({ id: "other", stream: "OTHER" })],
      natsSettings([narrow.url], { auth }),
    );
    expect(lines).toHaveLength(3);
    expect(lines[0]).toStartWith("note subscription billing: Consumer relay-billing of Q will be created");
    expect(lines[1]).toMatch(
      /^warning subscription billing: Cannot list the consumers of Q: Permissions Violation/,
    );
    expect(lines[2]).toMatch(
      /^error subscription other: Cannot consume OTHER as relay-other: .*Permissions Violation/,
    );
  });
});

test("inspectNats() changes nothing on the server", async () => {
  await using fresh = await startNatsServer();
  const observer = await fresh.connect();
  await addStream(observer, { name: "Q", subjects: ["q.>"], retention: "workqueue" });
  await addStream(observer, { name: "S", subjects: ["s.>"] });
  await using other = await connected(fresh.url);
  const before = subscription({ id: "changed", stream: "S" });
  await alignConsumer(other, toConsumerSettings(before));
  const requests: string[] = [];
  observer.subscribe("$JS.API.>", { callback: (_, msg) => void requests.push(msg.subject) });
  await observer.flush();
  const lines = await found(
    [
      subscription({ id: "new", stream: "Q", deadLetters: [letters("DLQ", { create: CREATE })] }),
      { ...before, qos: "NONE" },
      { ...subscription({ id: "changed", stream: "S", filterSubjects: ["s.a"] }) },
    ],
    natsSettings([fresh.url]),
  );
  expect(lines).toHaveLength(4);
  await eventually(
    () => requests.includes("$JS.API.CONSUMER.LIST.Q") && requests.includes("$JS.API.STREAM.NAMES"),
  );
  const harmless =
    /^\$JS\.API\.(?:INFO|STREAM\.INFO\.\w+|STREAM\.NAMES|CONSUMER\.INFO\..+|CONSUMER\.LIST\.\w+)$/;
  expect(requests.filter((subject) => !harmless.test(subject))).toEqual([]);
});
