// Dead letters read back from real streams: in pages that stay, filtered, counted, found, purged; nothing is left behind.

import { describe, expect, test } from "bun:test";
import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { type LetterEntry, EVERY_LETTER, type LetterFilter } from "#delivery/letter.ts";
import type { DeadLetterEndpoint } from "#delivery/subscription.ts";
import { READER_PREFIX } from "#letters/window.ts";
import { type LetterPage, type Letters, openLetters } from "#letters/letters.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream, connected, type TestConnection } from "../support/nats.ts";
import { TRUSTING_SIGNER } from "../support/letter-signers.ts";

interface Setup extends AsyncDisposable {
  readonly client: NatsConnection;
  readonly connection: TestConnection;
  readonly letters: Letters;
  /** Headers are `Relay-<name>`. */
  readonly put: (subject: string, facts?: Readonly<Record<string, string>>, body?: string) => Promise<number>;
  readonly count: (stream?: string) => Promise<number>;
  readonly consumers: (stream?: string) => Promise<readonly string[]>;
}

const never = new AbortController().signal;

function endpoint(stream: string, changes: Partial<DeadLetterEndpoint> = {}): DeadLetterEndpoint {
  const subject = stream.toLowerCase();
  return { name: subject, domain: null, stream, subject, create: null, ...changes };
}

async function setUp({
  endpoints = [endpoint("DLQ")],
  stream = {},
}: { endpoints?: readonly DeadLetterEndpoint[]; stream?: Partial<StreamConfig> } = {}): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startNatsServer());
  const client = await server.connect();
  await addStream(client, { name: "DLQ", subjects: ["dlq.>"], max_msgs_per_subject: 1, ...stream });
  const connection = stack.use(await connected(server.url));
  const manager = await jetstreamManager(client);
  const owned = stack.move();
  return {
    client,
    connection,
    letters: openLetters(connection, () => endpoints, TRUSTING_SIGNER),
    async put(subject, facts = {}, body = "body") {
      const own = headers();
      for (const [name, value] of Object.entries(facts)) own.append(`Relay-${name}`, value);
      return (await jetstream(client).publish(subject, body, { headers: own })).seq;
    },
    count: async (name = "DLQ") => (await manager.streams.info(name)).state.messages,
    async consumers(name = "DLQ") {
      const all = await manager.consumers.list(name).next();
      return all.map((info) => info.name);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `dlq.<subscription>.ORDERS.<n>-a`, `count` of them. */
async function putMany(
  { put }: Setup,
  count: number,
  facts: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (let n = 1; n <= count; n += 1) await put(`dlq.billing.ORDERS.${n}-a`, facts);
}

async function list(
  { letters }: Setup,
  filter: Partial<LetterFilter> = {},
  { limit = 100, cursor = null }: { limit?: number; cursor?: string | null } = {},
): Promise<Extract<LetterPage, { kind: "page" }>> {
  const page = await letters.list({ filter: { ...EVERY_LETTER, ...filter }, limit, cursor, signal: never });
  if (page.kind !== "page") throw new Error(Bun.inspect(page));
  return page;
}

async function walk(setup: Setup, filter: Partial<LetterFilter>, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<typeof list>> = await list(setup, filter, { limit, cursor });
    ids.push(...page.entries.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== null);
  return ids;
}

const idsOf = (entries: readonly LetterEntry[]) => entries.map(({ id }) => id);
const upTo = (from: number, to: number) =>
  Array.from({ length: from - to + 1 }, (_, index) => `billing.ORDERS.${from - index}-a`);

describe("list()", () => {
  test("list() shows the newest first, page by page, each once", async () => {
    await using setup = await setUp();
    await putMany(setup, 230);
    const first = await list(setup, {}, { limit: 100 });
    expect(idsOf(first.entries)).toEqual(upTo(230, 131));
    const second = await list(setup, {}, { limit: 100, cursor: first.next });
    expect(idsOf(second.entries)).toEqual(upTo(130, 31));
    const third = await list(setup, {}, { limit: 100, cursor: second.next });
    expect(idsOf(third.entries)).toEqual(upTo(30, 1));
    expect(third.next).toBeNull();
    expect(third.continuesAt).toBeNull();
  });

  test("list() continues at its cursor while letters come, go and are replaced", async () => {
    await using setup = await setUp();
    await putMany(setup, 40);
    const first = await list(setup, {}, { limit: 10 });
    expect(idsOf(first.entries)).toEqual(upTo(40, 31));
    await setup.put("dlq.billing.ORDERS.99-a");
    await setup.put("dlq.billing.ORDERS.25-a");
    const manager = await jetstreamManager(setup.client);
    await manager.streams.deleteMessage("DLQ", 30, false);
    const second = await list(setup, {}, { limit: 10, cursor: first.next });
    expect(idsOf(second.entries)).toEqual([...upTo(29, 26), ...upTo(24, 19)]);
    const again = await list(setup, {}, { limit: 2 });
    expect(idsOf(again.entries)).toEqual(["billing.ORDERS.25-a", "billing.ORDERS.99-a"]);
  });

  test("list() finds few letters among many deleted ones", async () => {
    await using setup = await setUp();
    await putMany(setup, 600);
    const manager = await jetstreamManager(setup.client);
    const gone = Array.from({ length: 600 }, (_, index) => index + 1).filter((n) => ![3, 4, 500].includes(n));
    for (const sequence of gone) await manager.streams.deleteMessage("DLQ", sequence, false);
    const page = await list(setup, {}, { limit: 1 });
    expect(idsOf(page.entries)).toEqual(["billing.ORDERS.500-a"]);
    expect(await walk(setup, {}, 2)).toEqual([
      "billing.ORDERS.500-a",
      "billing.ORDERS.4-a",
      "billing.ORDERS.3-a",
    ]);
    expect(await walk(setup, { subscription: ["billing"] }, 2)).toHaveLength(3);
  });

  test("list() filters by subject and by headers", async () => {
    await using setup = await setUp();
    for (let n = 1; n <= 300; n += 1) {
      const subscription = n % 100 === 0 ? "rare" : "billing";
      const facts = { Reason: n % 2 === 0 ? "rejected" : "exception", Error: `Answer ${n}` };
      await setup.put(`dlq.${subscription}.ORDERS.${n}-a`, facts);
    }
    expect(await walk(setup, { subscription: ["rare"] }, 2)).toEqual([
      "rare.ORDERS.300-a",
      "rare.ORDERS.200-a",
      "rare.ORDERS.100-a",
    ]);
    expect(await walk(setup, { reason: ["exception"] }, 40)).toHaveLength(150);
    expect(await walk(setup, { reason: ["rejected"], error: ["answer 30"] }, 10)).toEqual([
      "rare.ORDERS.300-a",
      "billing.ORDERS.30-a",
    ]);
    expect(await walk(setup, { subscription: ["nobody"] }, 10)).toEqual([]);
  });

  test("list() marks entries of other clients as foreign, and lists letters without headers", async () => {
    await using setup = await setUp();
    await setup.put("dlq.billing.ORDERS.1-a");
    await setup.put("dlq.some.thing", { Reason: "rejected" }, "12345");
    const { entries } = await list(setup);
    expect(entries).toMatchObject([
      { kind: "foreign", subject: "dlq.some.thing", size: 5, position: 2 },
      { kind: "letter", subscription: "billing", reason: null, size: 4, position: 1 },
    ]);
  });

  test("list() merges endpoints by time, and skips subjects of other endpoints", async () => {
    const endpoints = [endpoint("DLQ"), endpoint("MORE"), endpoint("DLQ", { name: "again" })];
    await using setup = await setUp({ endpoints, stream: { subjects: ["dlq.>", "foreign.>"] } });
    await addStream(setup.client, { name: "MORE", subjects: ["more.>"] });
    await setup.put("dlq.billing.ORDERS.1-a");
    await setup.put("more.billing.ORDERS.2-a");
    await setup.put("foreign.billing.ORDERS.3-a");
    await setup.put("dlq.billing.ORDERS.4-a");
    const { entries } = await list(setup);
    expect(entries.map(({ endpoint: name, id }) => [name, id])).toEqual([
      ["dlq", "billing.ORDERS.4-a"],
      ["more", "billing.ORDERS.2-a"],
      ["dlq", "billing.ORDERS.1-a"],
    ]);
    expect(await walk(setup, {}, 1)).toHaveLength(3);
  });

  test("list() separates an endpoint whose subject lies below another's", async () => {
    const endpoints = [endpoint("DLQ"), endpoint("DLQ", { name: "europe", subject: "dlq.eu" })];
    await using setup = await setUp({ endpoints });
    await setup.put("dlq.billing.ORDERS.1-a");
    await setup.put("dlq.eu.billing.ORDERS.2-a");
    const { entries } = await list(setup);
    expect(entries.map((entry) => [entry.endpoint, entry.kind, entry.id])).toEqual([
      ["europe", "letter", "billing.ORDERS.2-a"],
      ["dlq", "letter", "billing.ORDERS.1-a"],
    ]);
  });

  test("list() names endpoints that it cannot read, and shows the others", async () => {
    const endpoints = [
      endpoint("DLQ"),
      endpoint("MISSING"),
      endpoint("QUEUE"),
      endpoint("X", { domain: "far" }),
    ];
    await using setup = await setUp({ endpoints });
    await addStream(setup.client, { name: "QUEUE", subjects: ["queue.>"], retention: "workqueue" });
    await setup.put("dlq.billing.ORDERS.1-a");
    await setup.put("queue.billing.ORDERS.1-a");
    const { entries, faults, next } = await list(setup);
    expect(idsOf(entries)).toEqual(["billing.ORDERS.1-a"]);
    // What is out of sight may be there for the next page; a page that finds nothing new is the last one.
    const last = await list(setup, {}, { cursor: next });
    expect(last).toMatchObject({ entries: [], next: null, faults });
    expect(faults).toEqual([
      { endpoint: "queue", reason: "it cannot be read without a trace (retention workqueue)" },
      { endpoint: "x", reason: "JetStream domain far does not answer" },
    ]);
    expect(await setup.count("QUEUE")).toBe(1);
  });

  test("list() refuses an invalid cursor", async () => {
    await using setup = await setUp();
    for (const cursor of ["", "x", "e30", Buffer.from('[["a"]]').toString("base64url")]) {
      const page = await setup.letters.list({ filter: EVERY_LETTER, limit: 1, cursor, signal: never });
      expect(page.kind).toBe("bad-cursor");
    }
  });

  test("list() is unavailable without NATS, and empty without a stream", async () => {
    await using setup = await setUp({ endpoints: [endpoint("MISSING")] });
    expect((await list(setup)).entries).toEqual([]);
    await setup.connection.close();
    const late = openLetters(setup.connection, () => [endpoint("DLQ")], TRUSTING_SIGNER);
    const page = await late.list({ filter: EVERY_LETTER, limit: 1, cursor: null, signal: never });
    expect(page).toEqual({ kind: "unavailable", reason: "dlq: not connected to NATS" });
  });

  test("list() leaves no consumer behind", async () => {
    await using setup = await setUp();
    await putMany(setup, 10);
    await list(setup, {}, { limit: 3 });
    await list(setup, { subscription: ["billing"] });
    await eventually(async () => {
      const left = await setup.consumers();
      return left.filter((name) => name.startsWith(READER_PREFIX)).length === 0;
    });
  });
});

describe("counts()", () => {
  test("counts() counts by reason and by subscription", async () => {
    await using setup = await setUp();
    await putMany(setup, 3, { Reason: "rejected" });
    await setup.put("dlq.shipping.ORDERS.9-a", { Reason: "exception" });
    await setup.put("dlq.shipping.ORDERS.10-a");
    await setup.put("dlq.thing");
    expect(await setup.letters.counts()).toMatchObject({
      kind: "counted",
      letters: 5,
      foreign: 1,
      byReason: { rejected: 3, "server-error": 0, exception: 1, unknown: 1 },
      bySubscription: new Map([
        ["shipping", 2],
        ["billing", 3],
      ]),
      isComplete: true,
      faults: [],
    });
  });

  test("counts() shares one count among concurrent callers, for some seconds", async () => {
    await using setup = await setUp();
    await putMany(setup, 2);
    const [one, other] = await Promise.all([setup.letters.counts(), setup.letters.counts()]);
    await setup.put("dlq.billing.ORDERS.3-a");
    const third = await setup.letters.counts();
    expect(other).toBe(one);
    expect(third).toBe(one);
  });
});

describe("find()", () => {
  test("find() returns the whole letter, also after it was replaced", async () => {
    await using setup = await setUp();
    await setup.put("dlq.billing.ORDERS.1-a", { Reason: "rejected" }, "one");
    await setup.put("dlq.billing.ORDERS.1-a", { Reason: "exception", Replays: "1" }, "one");
    const found = await setup.letters.find("billing.ORDERS.1-a", never);
    if (found.kind !== "found") throw new Error(found.kind);
    expect(found.letter.entry).toMatchObject({ reason: "exception", replays: 1, position: 2, size: 3 });
    expect(new TextDecoder().decode(found.letter.body)).toBe("one");
    expect(found.letter.headers).toContainEqual(["Relay-Replays", "1"]);
  });

  test("find() finds a foreign entry by its sequence and time", async () => {
    await using setup = await setUp();
    await setup.put("dlq.thing", {}, "bytes");
    const [entry] = (await list(setup)).entries;
    const id = entry?.id ?? "";
    expect((await setup.letters.find(id, never)).kind).toBe("found");
    const other = id.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    expect(await setup.letters.find(other, never)).toEqual({
      kind: "missing",
    });
  });

  test("find() does not find a letter by the subject of another one", async () => {
    await using setup = await setUp();
    await setup.put("dlq.billing.ORDERS.1-a");
    for (const id of ["billing.ORDERS.2-a", "billing.ORDERS.~2A", "*.*.1-a", ">", "", "@DLQ.1-a"]) {
      expect(await setup.letters.find(id, never)).toEqual({ kind: "missing" });
    }
  });
});

describe("purge()", () => {
  async function dryRun({ letters }: Setup, filter: Partial<LetterFilter>) {
    const outcome = await letters.purge({
      filter: { ...EVERY_LETTER, ...filter },
      cursor: null,
      confirmed: null,
      signal: never,
    });
    if (outcome.kind !== "done") throw new Error(Bun.inspect(outcome));
    return outcome;
  }

  test("purge() removes the letters that the dry run counted: none newer, replaced or foreign", async () => {
    await using setup = await setUp();
    await putMany(setup, 20, { Reason: "rejected" });
    await setup.put("dlq.thing");
    const { matched, start, purged } = await dryRun(setup, { reason: ["rejected"] });
    expect([matched, purged, await setup.count()]).toEqual([20, 0, 21]);
    await setup.put("dlq.billing.ORDERS.21-a", { Reason: "rejected" });
    await setup.put("dlq.billing.ORDERS.7-a", { Reason: "rejected", Replays: "1" });
    const filter: LetterFilter = { ...EVERY_LETTER, reason: ["rejected"] };
    expect(
      await setup.letters.purge({ filter, cursor: start, confirmed: matched, signal: never }),
    ).toMatchObject({ kind: "done", matched: 19, purged: 19, next: null, obstacle: null });
    const left = await list(setup);
    expect(left.entries.map(({ position }) => position)).toEqual([23, 22, 21]);
  });

  test("purge() removes nothing if more letters match than were confirmed", async () => {
    await using setup = await setUp();
    await putMany(setup, 3);
    const { start } = await dryRun(setup, {});
    const outcome = await setup.letters.purge({
      filter: EVERY_LETTER,
      cursor: start,
      confirmed: 2,
      signal: never,
    });
    expect(outcome).toEqual({ kind: "too-many", matched: 3 });
    expect(await setup.count()).toBe(3);
  });

  test("purge() by subscription does not make consumers miss their next messages", async () => {
    await using setup = await setUp();
    await putMany(setup, 5);
    await setup.put("dlq.shipping.ORDERS.1-a");
    const manager = await jetstreamManager(setup.client);
    await manager.consumers.add("DLQ", {
      durable_name: "live",
      filter_subject: "dlq.billing.>",
      ack_policy: "explicit",
    });
    const { matched, start } = await dryRun(setup, { subscription: ["billing"] });
    const filter: LetterFilter = { ...EVERY_LETTER, subscription: ["billing"] };
    await setup.letters.purge({ filter, cursor: start, confirmed: matched, signal: never });
    expect(idsOf((await list(setup)).entries)).toEqual(["shipping.ORDERS.1-a"]);
    await setup.put("dlq.billing.ORDERS.8-a");
    const consumer = await jetstream(setup.client).consumers.get("DLQ", "live");
    const next = await consumer.next({ expires: 5000 });
    expect(next?.subject).toBe("dlq.billing.ORDERS.8-a");
  });

  test("purge() says why a stream refuses to delete letters", async () => {
    await using setup = await setUp({ stream: { deny_delete: true } });
    await putMany(setup, 2);
    const { start } = await dryRun(setup, {});
    const outcome = await setup.letters.purge({
      filter: EVERY_LETTER,
      cursor: start,
      confirmed: 2,
      signal: never,
    });
    expect(outcome).toMatchObject({ kind: "done", matched: 2, purged: 0 });
    expect(outcome.kind === "done" && outcome.obstacle).toContain("not permitted");
    expect(await setup.count()).toBe(2);
  });

  test("remove() removes entries by id, foreign ones too, from every endpoint", async () => {
    await using setup = await setUp({ endpoints: [endpoint("DLQ"), endpoint("MORE")] });
    await addStream(setup.client, { name: "MORE", subjects: ["more.>"] });
    await setup.put("dlq.billing.ORDERS.1-a");
    await setup.put("more.billing.ORDERS.1-a");
    await setup.put("dlq.billing.ORDERS.2-a");
    await setup.put("dlq.thing");
    const foreign = (await list(setup)).entries.find(({ kind }) => kind === "foreign")?.id ?? "";
    const ids = ["billing.ORDERS.1-a", foreign, "billing.ORDERS.404-a"];
    const dry = await setup.letters.remove(ids, { isDryRun: true, signal: never });
    expect(dry).toMatchObject({ kind: "done", matched: 2, purged: 0 });
    const outcome = await setup.letters.remove(ids, { isDryRun: false, signal: never });
    expect(outcome).toMatchObject({ kind: "done", matched: 2, purged: 2, obstacle: null });
    expect(idsOf((await list(setup)).entries)).toEqual(["billing.ORDERS.2-a"]);
  });
});
