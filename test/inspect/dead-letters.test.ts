// What is said of each dead-letter endpoint: whether it takes letters, and keeps them.

import { describe, expect, test } from "bun:test";

import type { DeadLetterEndpoint } from "#delivery/subscription.ts";

import { publishMany } from "../support/nats.ts";
import { CREATE, letters, subscription, useServer } from "./inspections.ts";

const server = useServer();

describe("inspectNats() about dead-letter endpoints", () => {
  /** Only what is said about endpoints. */
  async function foundOf(...groups: readonly (readonly DeadLetterEndpoint[])[]): Promise<string[]> {
    const subscriptions = groups.map((deadLetters, index) => subscription({ id: `s${index}`, deadLetters }));
    return (await server.found(subscriptions)).filter((line) => line.includes(" endpoint "));
  }

  test("inspectNats() reports a usable endpoint once for all subscriptions that use it", async () => {
    await server.addStream("D1", { discard: "new" });
    await publishMany(server.client(), "d1.a", 1);
    expect(await foundOf([letters("D1")], [letters("D1")])).toEqual([
      "note endpoint to-D1: Dead-letter stream D1 takes d1.>, and holds 1 message",
    ]);
  });

  test("inspectNats() predicts whether a missing stream can be created", async () => {
    await server.addStream("D2", { subjects: ["taken.>"] });
    expect(
      await foundOf(
        [letters("D2-A")],
        [letters("D2-B", { create: CREATE })],
        [letters("D2-C", { create: CREATE, subject: "taken" })],
        [letters("D2-D", { create: { ...CREATE, replicas: 3 } })],
      ),
    ).toEqual([
      "error endpoint to-D2-A: Dead-letter stream D2-A: not found",
      "note endpoint to-D2-B: Dead-letter stream D2-B does not exist: it will be created for d2-b.>",
      "error endpoint to-D2-C: Dead-letter stream D2-C: cannot be created: stream D2 has subjects in common with taken.>",
      "note endpoint to-D2-D: Dead-letter stream D2-D does not exist: it will be created for d2-d.>",
      "warning endpoint to-D2-D: Dead-letter stream D2-D: 3 replicas need a cluster, and this server is not in one",
    ]);
  });

  test("inspectNats() refuses an endpoint whose stream lacks its subject, and only warns if others of the group are usable", async () => {
    await server.addStream("D3", { subjects: ["something.else"] });
    await server.addStream("D4", { discard: "new" });
    const line = "endpoint to-D3: Dead-letter stream D3: it does not store d3.>";
    expect(await foundOf([letters("D3")])).toEqual([`error ${line}`]);
    expect((await foundOf([letters("D3"), letters("D4")]))[0]).toBe(`warning ${line}`);
    expect((await foundOf([letters("D3"), letters("D4")], [letters("D3")]))[0]).toBe(`error ${line}`);
  });

  test("inspectNats() warns of stream settings that lose letters", async () => {
    await server.addStream("D5", {
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

  test("inspectNats() lists settings of `create` that an existing stream does not have", async () => {
    await server.addStream("D6", { discard: "new", max_age: 60_000_000_000 });
    const same = letters("D6", { create: { ...CREATE, maxAgeMs: 60_000 } });
    expect(await foundOf([same])).toHaveLength(1);
    const other = letters("D6", { create: { ...CREATE, maxAgeMs: 60_000, maxBytes: 5000 } });
    expect((await foundOf([other]))[1]).toBe(
      "note endpoint to-D6: Dead-letter stream D6: it is there already and never changed, so it differs from the file in maxBytes",
    );
  });
});
