// What is foretold of each subscription's consumer, and that the server then says the same.

import { describe, expect, test } from "bun:test";

import { jetstreamManager } from "@nats-io/jetstream";

import { toConsumerSettings } from "#consumer/config.ts";
import { alignConsumer } from "#consumer/consumer.ts";
import { inspectNats } from "#inspect/inspect.ts";

import { natsSettings, publishMany } from "../support/nats.ts";
import { subscription, useServer, type Wanted } from "./inspections.ts";

const server = useServer();

function align(wanted: Wanted): Promise<unknown> {
  return alignConsumer(server.connection(), toConsumerSettings(subscription(wanted)));
}

describe("inspectNats() about subscriptions", () => {
  test("inspectNats() predicts whether each consumer is created, kept, updated or re-created", async () => {
    await server.addStream("S1");
    await publishMany(server.client(), "s1.new", 3);
    await align({ stream: "S1" });
    expect(await server.found([subscription({ stream: "S1" })])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 is kept, 3 messages to come",
    ]);
    const updated = subscription({ stream: "S1", qos: "AT_LEAST_ONCE", filterSubjects: ["s1.new"] });
    expect(await server.found([updated])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 will be updated in place: filter subjects, max ack pending",
    ]);
    expect(await server.found([subscription({ stream: "S1", deliverPolicy: { kind: "new" } })])).toEqual([
      "note subscription billing: Consumer relay-billing of S1 is kept, 3 messages to come",
      "warning subscription billing: deliverPolicy affects new consumers only: relay-billing was created with all",
    ]);
    expect(await server.found([subscription({ stream: "S1", qos: "NONE" })])).toEqual([
      "warning subscription billing: Consumer relay-billing of S1 will be re-created after sequence 0: acks cannot be changed in place",
    ]);
    expect(await server.found([subscription({ id: "fresh", stream: "S1" })])).toEqual([
      "note subscription fresh: Consumer relay-fresh of S1 will be created, with deliver policy all, or after what this host has done of it before",
    ]);
  });

  test("inspectNats() refuses a missing stream, and a filter outside the stream's subjects", async () => {
    await server.addStream("S2");
    const all = [
      subscription({ id: "early", stream: "LATER" }),
      subscription({ id: "lost", stream: "S2", filterSubjects: ["invoices.>"] }),
    ];
    expect(await server.found(all)).toEqual([
      "error subscription early: Stream LATER does not exist, and a relay would wait for it",
      "error subscription lost: Cannot consume S2 as relay-lost: the stream has no subject invoices.> (it has s2.>)",
    ]);
  });

  test("inspectNats() suggests the stream that was probably meant, or lists the existing ones", async () => {
    await server.addStream("S2");
    const suggestionsOf = async (stream: string) => {
      const { findings } = await inspectNats(natsSettings([server.url()]), [subscription({ stream })], {
        bucket: "relay",
        signal: new AbortController().signal,
      });
      return findings.flatMap(({ level, suggestion }) => (level === "error" ? [suggestion] : []));
    };
    expect(await suggestionsOf("s-2")).toEqual(['did you mean "S2"?']);
    expect(await suggestionsOf("PAYMENTS")).toEqual([
      expect.stringMatching(/^create it, or name another one \(existing: .*\bS2\b.*\)$/u),
    ]);
  });

  test("inspectNats() refuses several filters on a server that does not support them", async () => {
    await server.addStream("S3");
    const lines = await server.found([subscription({ stream: "S3", filterSubjects: ["s3.a", "s3.b"] })]);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(
      server.isOld() ? "several filter subjects need nats-server 2.10" : "will be created",
    );
  });

  test("inspectNats() refuses the name of a push consumer", async () => {
    await server.addStream("S4");
    const manager = await jetstreamManager(server.client());
    await manager.consumers.add("S4", {
      durable_name: "relay-billing",
      deliver_subject: "out",
      ack_policy: "explicit",
    });
    expect(await server.found([subscription({ stream: "S4" })])).toEqual([
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
    await server.addStream(stream, { retention: "workqueue" });
    const [line] = await server.found([subscription({ stream, ...wanted })]);
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
      await server.addStream(stream, { retention: "workqueue" });
      await align({ id: "stranger", stream, filterSubjects: theirs });
      const wanted = { stream, filterSubjects: ours };
      const [line] = await server.found([subscription(wanted)]);
      expect(line).toStartWith(isRefused ? refused("billing", stream) : "note ");
      if (isRefused) expect(line).toContain("consumer relay-stranger takes");
      const outcome = await align(wanted).catch((error: unknown) => error);
      expect(outcome).toMatchObject(isRefused ? { code: "consumer-refused" } : { change: "created" });
    },
  );

  test("inspectNats() refuses two overlapping subscriptions of the file, unless one is paused", async () => {
    await server.addStream("W9", { retention: "workqueue" });
    const one = { id: "one", stream: "W9", filterSubjects: ["w9.a"] };
    const two = { id: "two", stream: "W9" };
    const lines = await server.found([subscription(one), subscription(two)]);
    expect(lines[0]).toStartWith(refused("one", "W9"));
    expect(lines[0]).toContain("subscription two takes all of it");
    expect(lines[1]).toContain("subscription one takes w9.a");
    const [line] = await server.found([subscription(one), subscription({ ...two, isPaused: true })]);
    expect(line).toStartWith("note ");
  });

  test("inspectNats() compares with the filters that the file will give to existing consumers", async () => {
    await server.addStream("W10", { retention: "workqueue" });
    await align({ id: "one", stream: "W10" });
    const narrowed = subscription({ id: "one", stream: "W10", filterSubjects: ["w10.a"] });
    const lines = await server.found([
      narrowed,
      subscription({ id: "two", stream: "W10", filterSubjects: ["w10.b"] }),
    ]);
    expect(lines.map((line) => line.split(" ")[0])).toEqual(["note", "note"]);
  });
});

describe("inspectNats() about limits", () => {
  test("inspectNats() reports once how many more consumers a stream must allow", async () => {
    await server.addStream("W11", { max_consumers: 3 });
    await align({ id: "stranger", stream: "W11" });
    const ids = Array.from({ length: 9 }, (_, index) => `s${index + 1}`);
    const lines = await server.found(ids.map((id) => subscription({ id, stream: "W11" })));
    expect(lines.filter((line) => !line.startsWith("note "))).toEqual([
      "error stream W11: Stream W11 takes 3 consumers, and has 1: subscriptions s3, s4, s5, s6, s7 and 2 more cannot run",
    ]);
    await align({ id: "s1", stream: "W11" });
    await align({ id: "s2", stream: "W11" });
    expect(await align({ id: "s3", stream: "W11" }).catch((error: unknown) => error)).toMatchObject({
      code: "consumer-refused",
    });
  });

  test("inspectNats() predicts that an interest stream has no room for a placeholder, as alignConsumer() then finds", async () => {
    await server.addStream("W13", { max_consumers: 1, retention: "interest" });
    await align({ stream: "W13" });
    const [line] = await server.found([subscription({ stream: "W13", qos: "NONE" })]);
    expect(line).toContain("takes no more than 1 consumers, and it is made anew beside a placeholder");
    expect(await align({ stream: "W13", qos: "NONE" }).catch((error: unknown) => error)).toMatchObject({
      code: "consumer-refused",
    });
  });

  test("inspectNats() and alignConsumer() use the stream's max_ack_pending", async () => {
    // The client sends this setting to servers that know it only.
    await server.addStream("W12", server.isOld() ? {} : { consumer_limits: { max_ack_pending: 100 } });
    const wanted = [subscription({ stream: "W12" })];
    const limited =
      "note subscription billing: Consumer relay-billing of W12: max ack pending is limited to 100, where 1000 would be set";
    expect((await server.found(wanted)).includes(limited)).toBe(!server.isOld());
    expect(await align({ stream: "W12" })).toMatchObject({ change: "created" });
    expect(await align({ stream: "W12" })).toMatchObject({ change: "kept" });
    expect((await server.found(wanted))[0]).toContain("is kept");
  });

  test("inspectNats() and alignConsumer() use the stream's inactive threshold, unless it would lose messages", async () => {
    if (server.isOld()) return; // It knows no such limit.
    const limits = { consumer_limits: { inactive_threshold: 5_000_000_000 } };
    await server.addStream("W14", limits);
    const [note, warning] = await server.found([subscription({ stream: "W14" })]);
    expect(note).toStartWith("note ");
    expect(warning).toContain("Stream W14 deletes consumers that nobody pulls from for 5 s");
    expect(await align({ stream: "W14" })).toMatchObject({ change: "created" });
    expect(await align({ stream: "W14" })).toMatchObject({ change: "kept" });
    await server.addStream("W15", { ...limits, retention: "interest" });
    const [line] = await server.found([subscription({ stream: "W15" })]);
    expect(line).toStartWith("error ");
    expect(line).toContain("and with them the messages that wait");
    expect(await align({ stream: "W15" }).catch((error: unknown) => error)).toMatchObject({
      code: "consumer-refused",
    });
  });
});
