// A config held against real servers: what is found there, and that looking changes nothing.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

import type { DeadLetterEndpoint, DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import { toConsumerSettings } from "#nats/consumer-config.ts";
import { alignConsumer } from "#nats/consumer.ts";
import { type Inspection, inspectNats } from "#nats/inspect.ts";
import type { NatsSettings } from "#nats/settings.ts";

import { eventually } from "../support/eventually.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, natsSettings, publishMany, type TestConnection } from "../support/nats.ts";

let server: NatsServer;
let connection: TestConnection;
let client: NatsConnection;
let isOld: boolean;

beforeAll(async () => {
  server = await startNatsServer();
  connection = await connected(server.url);
  client = await server.connect();
  isOld = (connection.status().serverVersion ?? "").startsWith("2.9.");
});

afterAll(async () => {
  await connection.close();
  await server[Symbol.asyncDispose]();
});

interface Wanted {
  readonly id?: string;
  readonly stream?: string;
  readonly domain?: string | null;
  readonly filterSubjects?: readonly string[];
  readonly deliverPolicy?: DeliverPolicy;
  readonly qos?: Subscription["qos"];
  readonly deadLetters?: readonly DeadLetterEndpoint[];
  readonly isPaused?: boolean;
}

function subscription(wanted: Wanted = {}): Subscription {
  return {
    id: wanted.id ?? "billing",
    application: null,
    entrypoint: "webhook",
    qos: wanted.qos ?? "AUTO",
    source: {
      domain: wanted.domain ?? null,
      stream: wanted.stream ?? "ORDERS",
      filterSubjects: wanted.filterSubjects ?? [],
      deliverPolicy: wanted.deliverPolicy ?? { kind: "all" },
      ackWaitMs: 30_000,
    },
    deadLetters: wanted.deadLetters ?? [],
    callback: {
      url: new URL("http://127.0.0.1:9000/"),
      displayUrl: "http://127.0.0.1:9000/",
      method: "POST",
      headers: [],
      connectTimeoutMs: 3000,
      readTimeoutMs: 10_000,
      idleTimeoutMs: 60_000,
      maxConcurrentConnections: 5,
    },
    retry: { kind: "none" },
    interruptOnServerError: true,
    interruptOnException: true,
    resume: { kind: "manual" },
    startingAt: null,
    endingAt: null,
    isPaused: wanted.isPaused ?? false,
  };
}

function letters(stream: string, changes: Partial<DeadLetterEndpoint> = {}): DeadLetterEndpoint {
  return {
    name: `to-${stream}`,
    domain: null,
    stream,
    subject: stream.toLowerCase(),
    create: null,
    ...changes,
  };
}

const CREATE = { maxAgeMs: 0, maxBytes: -1, replicas: 1 };

function inspect(
  subscriptions: readonly Subscription[],
  settings: NatsSettings = natsSettings([server.url]),
): Promise<Inspection> {
  return inspectNats(settings, subscriptions, new AbortController().signal);
}

/** As lines, without what is said about the version of the server. */
async function found(
  subscriptions: readonly Subscription[],
  settings: NatsSettings = natsSettings([server.url]),
): Promise<string[]> {
  const { findings } = await inspect(subscriptions, settings);
  return findings
    .filter(({ message }) => !message.includes("older than 2.10"))
    .map(({ level, about, message }) => `${level} ${about}: ${message}`);
}

async function freshStream(name: string, config: Partial<StreamConfig> = {}): Promise<void> {
  await addStream(client, { name, subjects: [`${name.toLowerCase()}.>`], ...config });
}

function align(wanted: Wanted): Promise<unknown> {
  return alignConsumer(connection, toConsumerSettings(subscription(wanted)), null);
}

describe("inspectNats() about NATS", () => {
  test("inspectNats() names the server, and notes a version before 2.10", async () => {
    const { server: reached, findings } = await inspect([]);
    expect(reached).toEqual({
      url: `nats://127.0.0.1:${server.port}`,
      version: connection.status().serverVersion ?? "",
    });
    const notes = findings.filter(({ message }) => message.includes("older than 2.10"));
    expect(notes).toHaveLength(isOld ? 1 : 0);
  });

  test("inspectNats() says at once that nothing listens there", async () => {
    const before = performance.now();
    const { server: reached, findings } = await inspect(
      [subscription()],
      natsSettings(["nats://127.0.0.1:1"]),
    );
    expect(reached).toBeNull();
    expect(findings).toEqual([
      { level: "error", about: "nats", message: "Cannot reach nats://127.0.0.1:1: connection refused" },
    ]);
    expect(performance.now() - before).toBeLessThan(2000);
  });

  test("inspectNats() goes on to the next server of the list", async () => {
    const { server: reached } = await inspect([], natsSettings(["nats://127.0.0.1:1", server.url]));
    expect(reached).not.toBeNull();
  });

  test("inspectNats() waits 5 s for a server that says nothing", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const before = performance.now();
    const lines = await found([], natsSettings([`nats://127.0.0.1:${silent.port}`]));
    expect(lines).toEqual([`error nats: Cannot reach nats://127.0.0.1:${silent.port}: no answer in time`]);
    expect(performance.now() - before).toBeLessThan(7000);
  });

  test("inspectNats() ends when it is told to", async () => {
    using silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const settings = natsSettings([`nats://127.0.0.1:${silent.port}`]);
    const { findings } = await inspectNats(settings, [], AbortSignal.timeout(100));
    expect(findings.map(({ message }) => message).join()).toContain("stopped");
  });

  test("inspectNats() says that credentials were refused, and not which", async () => {
    await using guarded = await startNatsServer({ configText: "authorization { token: hunter22 }" });
    const wrong = natsSettings([guarded.url], { auth: { kind: "token", value: "hunter23" } });
    const lines = await found([subscription()], wrong);
    expect(lines).toEqual([`error nats: Cannot reach ${guarded.url}: Authorization Violation`]);
  });

  test("inspectNats() names the subscriptions that JetStream does not answer", async () => {
    await using plain = await startNatsServer({ jetstream: false });
    const all = ["a", "b", "c", "d", "e", "f"].map((id) => subscription({ id }));
    expect(await found(all, natsSettings([plain.url]))).toEqual([
      "error nats: JetStream does not answer: subscriptions a, b, c, d, e and 1 more cannot run",
    ]);
    expect(await found([subscription({ domain: "hub" })])).toEqual([
      "error nats: JetStream domain hub does not answer: subscription billing cannot run",
    ]);
  });

  test("inspectNats() says what it is not permitted to see, and goes on where that does not matter", async () => {
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
    expect(lines[0]).toStartWith("note subscription billing: Consumer relay-billing of Q will be made");
    expect(lines[1]).toMatch(
      /^warning subscription billing: Cannot list the consumers of Q: Permissions Violation/,
    );
    expect(lines[2]).toMatch(
      /^error subscription other: Cannot consume OTHER as relay-other: .*Permissions Violation/,
    );
  });
});

describe("inspectNats() about subscriptions", () => {
  test("inspectNats() says what would become of each consumer", async () => {
    await freshStream("S1");
    await publishMany(client, "s1.new", 3);
    await align({ stream: "S1" });
    expect(await found([subscription({ stream: "S1" })])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 is kept, 3 messages to come",
    ]);
    const updated = subscription({ stream: "S1", qos: "AT_LEAST_ONCE", filterSubjects: ["s1.new"] });
    expect(await found([updated])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 will be updated in place: filter subjects, max ack pending",
    ]);
    expect(await found([subscription({ stream: "S1", deliverPolicy: { kind: "new" } })])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 is kept, 3 messages to come",
      "warning subscription billing: deliverPolicy affects new consumers only: relay-billing was made with all",
    ]);
    expect(await found([subscription({ stream: "S1", qos: "NONE" })])).toEqual([
      "warning subscription billing: Consumer relay-billing of S1 will be made anew after sequence 0: acks cannot be changed in place",
    ]);
    expect(await found([subscription({ id: "fresh", stream: "S1" })])).toEqual([
      "note subscription fresh: Consumer relay-fresh of S1 will be made, with deliver policy all, or after what this host has done of it before",
    ]);
  });

  test("inspectNats() warns of a stream that is not there, and refuses a filter outside of one that is", async () => {
    await freshStream("S2");
    const all = [
      subscription({ id: "early", stream: "LATER" }),
      subscription({ id: "lost", stream: "S2", filterSubjects: ["invoices.>"] }),
    ];
    expect(await found(all)).toEqual([
      "warning subscription early: Stream LATER is not there: it is waited for",
      "error subscription lost: Cannot consume S2 as relay-lost: the stream has no subject invoices.> (it has s2.>)",
    ]);
  });

  test("inspectNats() refuses several filters where the server does not know them", async () => {
    await freshStream("S3");
    const lines = await found([subscription({ stream: "S3", filterSubjects: ["s3.a", "s3.b"] })]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(isOld ? "several filter subjects need nats-server 2.10" : "will be made");
  });

  test("inspectNats() refuses a name that a push consumer has", async () => {
    await freshStream("S4");
    const manager = await jetstreamManager(client);
    await manager.consumers.add("S4", {
      durable_name: "relay-billing",
      deliver_subject: "out",
      ack_policy: "explicit",
    });
    expect(await found([subscription({ stream: "S4" })])).toEqual([
      "error subscription billing: Cannot consume S4 as relay-billing: a push consumer has that name",
    ]);
  });
});

describe("inspectNats() about a work queue", () => {
  const refused = (id: string, stream: string) =>
    `error subscription ${id}: Cannot consume ${stream} as relay-${id}:`;

  test.each<[string, string, Wanted, string]>([
    ["no acks", "W1", { qos: "NONE" }, "needs acks"],
    ["new", "W2", { deliverPolicy: { kind: "new" } }, "cannot be new"],
    [
      "a start sequence",
      "W3",
      { deliverPolicy: { kind: "start-sequence", sequence: 7 } },
      "cannot be start sequence 7",
    ],
  ])("inspectNats() refuses %s as the server does", async (_, stream, wanted, reason) => {
    await freshStream(stream, { retention: "workqueue" });
    const [line] = await found([subscription({ stream, ...wanted })]);
    expect(line).toStartWith(refused("billing", stream));
    expect(line).toContain(reason);
    expect(await align({ stream, ...wanted }).catch((error: unknown) => error)).toMatchObject({
      code: "consumer-refused",
    });
  });

  test.each<[string, readonly string[], readonly string[], boolean]>([
    ["W4", ["w4.a"], ["w4.a"], true],
    ["W5", ["w5.*"], ["w5.a"], true],
    ["W6", [], ["w6.a"], true],
    ["W7", ["w7.b"], [], true],
    ["W8", ["w8.a"], ["w8.b"], false],
  ])(
    "inspectNats() judges filters on %s that others have, %p, as the server does",
    async (stream, theirs, ours, isRefused) => {
      await freshStream(stream, { retention: "workqueue" });
      await align({ id: "stranger", stream, filterSubjects: theirs });
      const wanted = { stream, filterSubjects: ours };
      const [line] = await found([subscription(wanted)]);
      expect(line).toStartWith(isRefused ? refused("billing", stream) : "note ");
      if (isRefused) expect(line).toContain("consumer relay-stranger takes");
      const outcome = await align(wanted).catch((error: unknown) => error);
      expect(outcome).toMatchObject(isRefused ? { code: "consumer-refused" } : { change: "created" });
    },
  );

  test("inspectNats() refuses two subscriptions of the file that overlap, unless one is paused", async () => {
    await freshStream("W9", { retention: "workqueue" });
    const one = { id: "one", stream: "W9", filterSubjects: ["w9.a"] };
    const two = { id: "two", stream: "W9" };
    const lines = await found([subscription(one), subscription(two)]);
    expect(lines[0]).toStartWith(refused("one", "W9"));
    expect(lines[0]).toContain("subscription two takes all of it");
    expect(lines[1]).toContain("subscription one takes w9.a");
    const [line] = await found([subscription(one), subscription({ ...two, isPaused: true })]);
    expect(line).toStartWith("note ");
  });

  test("inspectNats() judges what is there by what the file makes of it", async () => {
    await freshStream("W10", { retention: "workqueue" });
    await align({ id: "one", stream: "W10" });
    const narrowed = subscription({ id: "one", stream: "W10", filterSubjects: ["w10.a"] });
    const lines = await found([
      narrowed,
      subscription({ id: "two", stream: "W10", filterSubjects: ["w10.b"] }),
    ]);
    expect(lines.map((line) => line.split(" ")[0])).toEqual(["note", "note"]);
  });

  test("inspectNats() refuses one consumer more than the stream takes", async () => {
    await freshStream("W11", { max_consumers: 1 });
    await align({ id: "stranger", stream: "W11" });
    expect(await found([subscription({ stream: "W11" })])).toEqual([
      `${refused("billing", "W11")} the stream takes no more than 1 consumers`,
    ]);
    expect(await align({ stream: "W11" }).catch((error: unknown) => error)).toMatchObject({
      code: "consumer-refused",
    });
  });

  test("inspectNats() refuses more unacknowledged messages than the stream allows", async () => {
    // The client sends this setting to servers that know it only.
    await freshStream("W12", isOld ? {} : { consumer_limits: { max_ack_pending: 100 } });
    const [line] = await found([subscription({ stream: "W12" })]);
    const outcome = await align({ stream: "W12" }).catch((error: unknown) => error);
    expect(outcome).toMatchObject(isOld ? { change: "created" } : { code: "consumer-refused" });
    expect(line).toContain(isOld ? "will be made" : "limit of max ack pending is 100, and 1000 is needed");
  });
});

describe("inspectNats() about dead-letter endpoints", () => {
  /** Only what is said about endpoints. */
  async function foundOf(...groups: readonly (readonly DeadLetterEndpoint[])[]): Promise<string[]> {
    const subscriptions = groups.map((deadLetters, index) => subscription({ id: `s${index}`, deadLetters }));
    return (await found(subscriptions)).filter((line) => line.includes(" endpoint "));
  }

  test("inspectNats() says that one takes letters, once for all that use it", async () => {
    await freshStream("D1", { discard: "new" });
    await publishMany(client, "d1.a", 1);
    expect(await foundOf([letters("D1")], [letters("D1")])).toEqual([
      "note endpoint to-D1: Dead-letter stream D1 takes d1.>, and holds 1 message",
    ]);
  });

  test("inspectNats() says whether a missing one would be made, or could not be", async () => {
    await freshStream("D2", { subjects: ["taken.>"] });
    expect(
      await foundOf(
        [letters("D2-A")],
        [letters("D2-B", { create: CREATE })],
        [letters("D2-C", { create: CREATE, subject: "taken" })],
        [letters("D2-D", { create: { ...CREATE, replicas: 3 } })],
      ),
    ).toEqual([
      "error endpoint to-D2-A: Dead-letter stream D2-A: not found",
      "note endpoint to-D2-B: Dead-letter stream D2-B is not there: it will be made for d2-b.>",
      "error endpoint to-D2-C: Dead-letter stream D2-C: cannot be created: stream D2 has subjects in common with taken.>",
      "note endpoint to-D2-D: Dead-letter stream D2-D is not there: it will be made for d2-d.>",
      "warning endpoint to-D2-D: Dead-letter stream D2-D: 3 replicas need a cluster, and this server is in none",
    ]);
  });

  test("inspectNats() refuses one that does not store its subject, and warns if others of the group do", async () => {
    await freshStream("D3", { subjects: ["something.else"] });
    await freshStream("D4", { discard: "new" });
    const line = "endpoint to-D3: Dead-letter stream D3: it does not store d3.>";
    expect(await foundOf([letters("D3")])).toEqual([`error ${line}`]);
    expect((await foundOf([letters("D3"), letters("D4")]))[0]).toBe(`warning ${line}`);
    expect((await foundOf([letters("D3"), letters("D4")], [letters("D3")]))[0]).toBe(`error ${line}`);
  });

  test("inspectNats() warns of settings that lose letters", async () => {
    await freshStream("D5", {
      max_bytes: 100_000,
      max_msgs: 1,
      max_age: 60_000_000_000,
      max_msg_size: 1000,
      storage: "memory",
      retention: "interest",
    });
    expect((await foundOf([letters("D5")])).slice(1)).toEqual(
      [
        "it drops its oldest letters beyond 100000 bytes or 1 message (discard old)",
        "it drops letters after 60 s (max age)",
        "it keeps letters only until consumers are done with them (retention interest)",
        "its letters are gone when the server stops (storage memory)",
        "it takes no letter above 1000 bytes (max message size)",
      ].map((loss) => `warning endpoint to-D5: Dead-letter stream D5: ${loss}`),
    );
  });

  test("inspectNats() says what of the file a stream that is there does not follow", async () => {
    await freshStream("D6", { discard: "new", max_age: 60_000_000_000 });
    const same = letters("D6", { create: { ...CREATE, maxAgeMs: 60_000 } });
    expect(await foundOf([same])).toHaveLength(1);
    const other = letters("D6", { create: { ...CREATE, maxAgeMs: 60_000, maxBytes: 5000 } });
    expect((await foundOf([other]))[1]).toBe(
      "note endpoint to-D6: Dead-letter stream D6: it is there already and never changed, so it differs from the file in maxBytes",
    );
  });
});

test("inspectNats() asks, and changes nothing", async () => {
  await using fresh = await startNatsServer();
  const observer = await fresh.connect();
  await addStream(observer, { name: "Q", subjects: ["q.>"], retention: "workqueue" });
  await addStream(observer, { name: "S", subjects: ["s.>"] });
  await using other = await connected(fresh.url);
  const before = subscription({ id: "changed", stream: "S" });
  await alignConsumer(other, toConsumerSettings(before), null);
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
