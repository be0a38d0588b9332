// What a server says about the bucket of states before a relay uses it.

import { describe, expect, test } from "bun:test";

import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { Kvm, type KvOptions } from "@nats-io/kv";

import { addStream } from "../support/nats.ts";
import { readyBucket } from "../bucket/buckets.ts";
import { useServer } from "./inspections.ts";

const server = useServer();
const inspect = () => server.found([]);

/** As something else than a relay made it. */
async function withStream(config: Partial<StreamConfig> & { name: string }): Promise<string[]> {
  await addStream(server.client(), config);
  const lines = await inspect();
  await (await jetstreamManager(server.client())).streams.delete(config.name);
  return lines;
}

async function withBucket(options: Partial<KvOptions>): Promise<string[]> {
  const store = await new Kvm(server.client()).create("relay", options);
  const lines = await inspect();
  await store.destroy();
  return lines;
}

describe("inspectNats() about the bucket", () => {
  test("inspectNats() finds no fault with a bucket that is missing, or that a relay or a KV client created", async () => {
    expect(await inspect()).toEqual([]);
    expect(await withBucket({})).toEqual([]);
    await using _ = await readyBucket(server.connection());
    expect(await inspect()).toEqual([]);
    await (await jetstreamManager(server.client())).streams.delete("KV_relay");
  });

  test.each<[string, Partial<KvOptions>, string]>([
    ["a time to live", { ttl: 3_600_000 }, "it forgets every key after 3600 s (max age)"],
    ["memory", { storage: "memory" }, "it is empty after the server was stopped (storage memory)"],
    ["small values", { maxValueSize: 1000 }, "it takes no value above 1000 bytes (max message size)"],
  ])("inspectNats() warns of a bucket with %s", async (_, options, loss) => {
    expect(await withBucket(options)).toEqual([`warning state.bucket: Bucket relay: ${loss}`]);
  });

  test("inspectNats() warns of a bucket that drops old keys, and of one without a history limit", async () => {
    expect(
      await withStream({
        name: "KV_relay",
        subjects: ["$KV.relay.>"],
        max_bytes: 1_000_000,
        discard: "old",
        max_msgs_per_subject: 1,
      }),
    ).toEqual([
      "warning state.bucket: Bucket relay: it forgets its oldest keys beyond 1000000 bytes (discard old)",
    ]);
    expect(await withStream({ name: "KV_relay", subjects: ["$KV.relay.>"], retention: "interest" })).toEqual([
      "warning state.bucket: Bucket relay: it keeps every value that a key ever had (no history limit): it only grows",
      "warning state.bucket: Bucket relay: it keeps keys only until consumers are done with them (retention interest)",
    ]);
  });

  test("inspectNats() refuses a stream that has a bucket's name but is none", async () => {
    expect(await withStream({ name: "KV_relay", subjects: ["kv.relay"] })).toEqual([
      "error state.bucket: Bucket relay: stream KV_relay is no KV bucket: its subject must be $KV.relay.>, it has kv.relay",
    ]);
    expect(
      await withStream({
        name: "KV_relay",
        subjects: ["$KV.relay.>"],
        max_msgs_per_subject: 1,
        no_ack: true,
      }),
    ).toEqual([
      "error state.bucket: Bucket relay: stream KV_relay is no KV bucket: it does not acknowledge (no ack)",
    ]);
  });

  test("inspectNats() refuses a bucket whose subjects another stream has", async () => {
    expect(await withStream({ name: "OTHER", subjects: ["$KV.relay.state.>"] })).toEqual([
      "error state.bucket: Bucket relay: cannot be created: stream OTHER has subjects in common with $KV.relay.>",
    ]);
  });
});
