// Dead letters stored in real streams that are missing, full, too small, foreign, or hold the letter already.

import { describe, expect, test } from "bun:test";

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers as createHeaders, type NatsConnection } from "@nats-io/transport-node";

import type { DeadLetter } from "#delivery/dead-letter.ts";
import type { DeadLetterEndpoint, DeadLetterStreamSettings } from "#delivery/subscription.ts";
import { type DeadLetters, openDeadLetters } from "#letters/store.ts";

import { eventually } from "../support/eventually.ts";
import { fetchNatsServer, startNatsServer } from "../support/nats-server.ts";
import {
  addStream,
  connected,
  leaveMarkers,
  MARKER_CONFIG,
  openTestConnection,
  type TestConnection,
} from "../support/nats.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

const { signal: NEVER } = new AbortController();
const CREATE: DeadLetterStreamSettings = { maxAgeMs: 3_600_000, maxBytes: 1_000_000, replicas: 1 };

function endpoint(stream: string, create: DeadLetterStreamSettings | null = null): DeadLetterEndpoint {
  return { name: stream.toLowerCase(), domain: null, stream, subject: stream.toLowerCase(), create };
}

function letterOf(changes: Partial<DeadLetter> = {}): DeadLetter {
  return {
    subjectSuffix: "billing.ORDERS.1-abc",
    copiedHeaders: [["X-Tenant", "a"]],
    relayHeaders: [
      ["Relay-Reason", "rejected"],
      ["Relay-Error", "Callback answered 404"],
    ],
    body: new TextEncoder().encode("body"),
    ...changes,
  };
}

function lettersOf(connection: TestConnection, ...endpoints: DeadLetterEndpoint[]): DeadLetters {
  return openDeadLetters(connection, endpoints, { signer: TRUSTING_SIGNER, logger: connection.logger });
}

function store(letters: DeadLetters, changes: Partial<DeadLetter> = {}) {
  return letters.store(letterOf(changes), AbortSignal.timeout(10_000));
}

async function stored(client: NatsConnection, stream: string) {
  const manager = await jetstreamManager(client);
  const { state } = await manager.streams.info(stream);
  const message =
    state.messages === 0 ? null : await manager.streams.getMessage(stream, { seq: state.last_seq });
  return { count: state.messages, message };
}

describe("store()", () => {
  test("store() keeps one copy of a letter, with its headers", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    expect(await letters.has(letterOf(), NEVER)).toBe(false);
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect(await letters.has(letterOf(), NEVER)).toBe(true);
    const { count, message } = await stored(client, "DLQ");
    expect(count).toBe(1);
    expect(message?.subject).toBe("dlq.billing.ORDERS.1-abc");
    expect(message?.string()).toBe("body");
    expect(message?.header.get("X-Tenant")).toBe("a");
    expect(message?.header.get("Relay-Error")).toBe("Callback answered 404");
  });

  test("store() drops headers that NATS cannot carry, and keeps repeated ones", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
    await using connection = await connected(server.url);
    const result = await store(lettersOf(connection, endpoint("DLQ")), {
      copiedHeaders: [
        ["a b", "1"],
        ["", "2"],
        ["X-Break", "a\r\nNats-Rollup: all"],
        ["X-Twice", "1"],
        ["X-Twice", "2"],
      ],
    });
    expect(result.kind).toBe("stored");
    const { message } = await stored(client, "DLQ");
    expect(message?.header.values("X-Twice")).toEqual(["1", "2"]);
    expect(message?.header.has("X-Break")).toBe(false);
  });

  test.each([
    ["the copied headers", 66_000, 10, ["Relay-Error", "Relay-Reason"]],
    ["the error text too", 66_000, 66_000, ["Relay-Reason"]],
  ])("store() drops %s when all headers are too large", async (_, copied, error, left) => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
    await using connection = await connected(server.url);
    const result = await store(lettersOf(connection, endpoint("DLQ")), {
      copiedHeaders: [["X-Large", "x".repeat(copied)]],
      relayHeaders: [
        ["Relay-Reason", "rejected"],
        ["Relay-Error", "e".repeat(error)],
      ],
    });
    expect(result.kind).toBe("stored");
    const { message } = await stored(client, "DLQ");
    const kept = (message?.header.keys() ?? []).filter((name) =>
      /^(?:Relay-(?!Signature)|X-Large)/.test(name),
    );
    expect(kept.sort()).toEqual([...left]);
  });

  test("store() drops headers at max_payload, and fails if the body alone is too large", async () => {
    await using server = await startNatsServer({ configText: "max_payload: 10000" });
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    expect((await store(letters, { body: new Uint8Array(9880) })).kind).toBe("stored");
    const large = await store(letters, {
      body: new Uint8Array(10_000),
      subjectSuffix: "billing.ORDERS.2-abc",
    });
    expect(large.kind).toBe("too-large");
    expect((await stored(client, "DLQ")).count).toBe(1);
  });

  test("store() tries the next endpoint if one is missing, full, or refuses the size", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "FULL", subjects: ["full.>"], max_msgs: 1, discard: "new" });
    await addStream(client, { name: "TINY", subjects: ["tiny.>"], max_msg_size: 2 });
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"] });
    await jetstream(client).publish("full.x", "x");
    await using connection = await connected(server.url);
    const none = [endpoint("NONE"), endpoint("FULL"), endpoint("TINY")];
    expect((await store(lettersOf(connection, ...none))).kind).toBe("unavailable");
    expect((await store(lettersOf(connection, endpoint("TINY")))).kind).toBe("too-large");
    expect(await store(lettersOf(connection, ...none, endpoint("DLQ")))).toEqual({
      kind: "stored",
      endpoint: "dlq",
    });
  });

  test("store() does not accept the answer of another stream", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "OTHER", subjects: ["dlq.>"] });
    await using connection = await connected(server.url);
    expect(await store(lettersOf(connection, endpoint("DLQ")))).toMatchObject({ kind: "unavailable" });
    expect((await stored(client, "OTHER")).count).toBe(0);
  });

  test("store() creates a missing stream if `create` is set, also one that was deleted", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    const manager = await jetstreamManager(client);
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ", CREATE));
    expect((await store(letters)).kind).toBe("stored");
    const { config } = await manager.streams.info("DLQ");
    expect(config).toMatchObject({
      subjects: ["dlq.>"],
      storage: "file",
      discard: "new",
      max_msgs_per_subject: 1,
      max_bytes: 1_000_000,
      max_age: 3_600_000 * 1_000_000,
    });
    expect(config.discard_new_per_subject ?? false).toBe(false);
    await manager.streams.delete("DLQ");
    expect((await store(letters)).kind).toBe("stored");
    await jetstream(client).publish("dlq.billing.ORDERS.1-abc", "replaced");
    expect((await stored(client, "DLQ")).message?.string()).toBe("replaced");
  });

  test("store() is unavailable without a server", async () => {
    await using absent = openTestConnection("nats://127.0.0.1:1");
    expect(await store(lettersOf(absent, endpoint("DLQ")))).toMatchObject({ kind: "unavailable" });
    expect(await lettersOf(absent, endpoint("DLQ")).has(letterOf(), NEVER)).toBe(false);
    expect(await lettersOf(absent, endpoint("DLQ")).check(NEVER)).toContain("not connected");
  });
});

// The subject of a letter is its own, but not all that lies there is that letter.
describe("store() on a subject that is in use", () => {
  const SUBJECT = "dlq.billing.ORDERS.1-abc";

  test("store() replaces a delete marker", async () => {
    await using server = await startNatsServer({ binary: fetchNatsServer() });
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1, ...MARKER_CONFIG });
    await leaveMarkers(client, "DLQ", [SUBJECT]);
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    expect(await letters.has(letterOf(), NEVER)).toBe(false);
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect((await stored(client, "DLQ")).message?.string()).toBe("body");
    expect(await letters.has(letterOf(), NEVER)).toBe(true);
    expect((await stored(client, "DLQ")).count).toBe(1);
  });

  test("store() replaces a foreign message", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
    await jetstream(client).publish(SUBJECT, "of somebody else");
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    expect(await letters.has(letterOf(), NEVER)).toBe(false);
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect((await stored(client, "DLQ")).message?.string()).toBe("body");
  });

  test("store() recognizes its letter after a replay changed its headers", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
    const replayed = createHeaders();
    replayed.set("Relay-Replays", "3");
    await jetstream(client).publish(SUBJECT, "body", { headers: replayed });
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    expect(await letters.has(letterOf(), NEVER)).toBe(true);
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect((await stored(client, "DLQ")).message?.header.get("Relay-Replays")).toBe("3");
  });

  test("store() stores a purged letter again", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
    const manager = await jetstreamManager(client);
    await using connection = await connected(server.url);
    const letters = lettersOf(connection, endpoint("DLQ"));
    for (const sequence of [1, 2]) {
      expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
      await manager.streams.deleteMessage("DLQ", sequence, false);
    }
    expect(await store(letters)).toEqual({ kind: "stored", endpoint: "dlq" });
    expect((await stored(client, "DLQ")).count).toBe(1);
  });
});

// A domain behind a broken line answers nothing, and says so to nobody.
describe("openDeadLetters() with a silent endpoint", () => {
  /** Whatever is asked of its domain, or published below its subject, is heard and not answered. */
  async function setUpSilent() {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startNatsServer());
    const client = await server.connect();
    for (const subject of ["$JS.far.API.>", "far.>"])
      client.subscribe(subject, { callback: () => undefined });
    await client.flush();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1 });
    const connection = stack.use(await connected(server.url));
    const far: DeadLetterEndpoint = { ...endpoint("FAR"), domain: "far" };
    await eventually(() => connection.lastPongAt() > 0);
    const owned = stack.move();
    return { client, connection, far, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }

  async function timed<T>(run: () => Promise<T>): Promise<{ result: T; tookMs: number }> {
    const startMs = performance.now();
    return { result: await run(), tookMs: performance.now() - startMs };
  }

  test("has() waits for it once, and then skips it until it answers a check", async () => {
    await using setup = await setUpSilent();
    const letters = lettersOf(setup.connection, setup.far, endpoint("DLQ"));
    expect(await timed(() => letters.has(letterOf(), NEVER))).toMatchObject({ result: false });
    const looks = Array.from({ length: 100 }, () => letters.has(letterOf(), NEVER));
    const { tookMs } = await timed(() => Promise.all(looks));
    // Each wait would be 5 s.
    expect(tookMs).toBeLessThan(4900);
    await store(letters);
    expect(await letters.has(letterOf(), NEVER)).toBe(true);
    const asked: string[] = [];
    setup.client.subscribe("$JS.far.API.>", {
      callback: (_, msg) => {
        asked.push(msg.subject);
        msg.respond(
          JSON.stringify({ error: { code: 404, err_code: 10059, description: "stream not found" } }),
        );
      },
    });
    await setup.client.flush();
    expect(await letters.check(NEVER)).toBeNull();
    await letters.has(letterOf(), NEVER);
    expect(asked).toEqual(["$JS.far.API.STREAM.INFO.FAR", "$JS.far.API.STREAM.MSG.GET.FAR"]);
  });

  test("store() then tries it last", async () => {
    await using setup = await setUpSilent();
    const letters = lettersOf(setup.connection, setup.far, endpoint("DLQ"));
    const first = await timed(() => store(letters));
    expect(first.result).toEqual({ kind: "stored", endpoint: "dlq" });
    expect(first.tookMs).toBeGreaterThan(4900);
    const second = await timed(() => store(letters, { subjectSuffix: "billing.ORDERS.2-abc" }));
    expect(second.result).toEqual({ kind: "stored", endpoint: "dlq" });
    expect(second.tookMs).toBeLessThan(4900);
  }, 30_000);

  test.each<[string, (letters: DeadLetters, signal: AbortSignal) => Promise<unknown>]>([
    ["has()", (letters, signal) => letters.has(letterOf(), signal)],
    ["store()", (letters, signal) => letters.store(letterOf(), signal)],
    ["check()", (letters, signal) => letters.check(signal)],
  ])("%s ends with its signal", async (_, ask) => {
    await using setup = await setUpSilent();
    const letters = lettersOf(setup.connection, setup.far);
    const stopping = new AbortController();
    const asking = timed(() => ask(letters, stopping.signal));
    await setup.client.flush();
    stopping.abort();
    expect((await asking).tookMs).toBeLessThan(4900);
  });
});

describe("check()", () => {
  test("check() names the stream and why it accepts no letters; one usable endpoint is enough", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "OTHER", subjects: ["foreign.>"] });
    await addStream(client, { name: "FULL", subjects: ["full.>"], max_msgs: 1, discard: "new" });
    await jetstream(client).publish("full.x", "x");
    await using connection = await connected(server.url);
    expect(await lettersOf(connection, endpoint("NONE")).check(NEVER)).toBe(
      "Dead-letter stream NONE: not found",
    );
    expect(await lettersOf(connection, endpoint("FULL")).check(NEVER)).toBe(
      "Dead-letter stream FULL: it is full",
    );
    expect(await lettersOf(connection, endpoint("OTHER")).check(NEVER)).toContain("does not store other.>");
    expect(await lettersOf(connection, endpoint("NONE"), endpoint("DLQ", CREATE)).check(NEVER)).toBeNull();
  });

  test("check() does not change an existing stream", async () => {
    await using server = await startNatsServer();
    const client = await server.connect();
    await addStream(client, { name: "DLQ", subjects: ["dlq.>", "more.>"], max_age: 0 });
    const manager = await jetstreamManager(client);
    const before = (await manager.streams.info("DLQ")).config;
    await using connection = await connected(server.url);
    expect(await lettersOf(connection, endpoint("DLQ", CREATE)).check(NEVER)).toBeNull();
    expect((await manager.streams.info("DLQ")).config).toEqual(before);
  });

  test("check() succeeds for relays that all create the stream at once", async () => {
    await using server = await startNatsServer();
    await using one = await connected(server.url);
    await using two = await connected(server.url);
    const reasons = await Promise.all(
      [one, two, one, two].map((connection) => lettersOf(connection, endpoint("DLQ", CREATE)).check(NEVER)),
    );
    expect(reasons).toEqual([null, null, null, null]);
  });
});
