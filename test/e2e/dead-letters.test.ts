// What becomes of a message that its callback will not have: the letter as it is stored, and what happens when it cannot be.

import { jetstream } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { RETRY_ON_FAIL } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import {
  addLetterStream,
  countLetters,
  headersOf,
  readLetter,
  publishSigned,
  setUpLetters,
  tokenOf,
} from "../support/letters.ts";
import { isInState, readMetric, readReadiness } from "../support/metrics.ts";

test("the letter: the bytes untouched, the headers less the server's, what Relay says of it, one subject of its own", async () => {
  await using setup = await setUpLetters({ respond: () => ({ status: 422, body: "no such customer" }) });
  await addLetterStream(setup, "DLQ");
  const bytes = new Uint8Array(Array.from({ length: 256 }, (_, byte) => byte));
  const own = createHeaders();
  own.append("Nats-Msg-Id", "order-7");
  own.append("X-Tenant", "ünïcode");
  own.append("X-Twice", "1");
  own.append("X-Twice", "2");
  own.append("Content-Type", "application/octet-stream");
  own.append("Authorization", "Bearer of-the-publisher");
  own.append("Relay-Reason", "a lie");
  own.append("webhook-id", "a lie");
  const sequence = await setup.publish(bytes, own);
  const startedAt = Date.now();
  await using relay = await setup.start();
  const letter = await readLetter(setup, "DLQ");
  const { token, time } = await tokenOf(setup, sequence);
  expect(letter.subject).toBe(`dlq.sub.ORDERS.${sequence}-${token}`);
  expect([...letter.data]).toEqual([...bytes]);
  const { "Relay-Dead-Lettered-At": at, "Relay-Signature": signature, ...rest } = headersOf(letter);
  expect(signature?.[0]).toMatch(/^v1=[\w-]+:[\w-]{43}:[\w-]{43}$/);
  expect(rest).toEqual({
    "X-Tenant": ["ünïcode"],
    "X-Twice": ["1", "2"],
    "Content-Type": ["application/octet-stream"],
    Authorization: ["Bearer of-the-publisher"],
    "Relay-Reason": ["rejected"],
    "Relay-Status": ["422"],
    "Relay-Error": ["Callback answered 422: no such customer"],
    "Relay-Attempts": ["1"],
    "Relay-Subscription": ["sub"],
    "Relay-Application": ["billing & co"],
    "Relay-Entrypoint": ["webhook"],
    "Relay-Stream": ["ORDERS"],
    "Relay-Sequence": [String(sequence)],
    "Relay-Subject": ["orders.new"],
    "Relay-Time-Stamp": [time],
    "Relay-Message-Id": ["order-7"],
    "webhook-id": [`msg_ORDERS_${sequence}_${token}`],
  });
  expect(at?.[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(at?.[0] ?? "")).toBeGreaterThanOrEqual(startedAt);
  expect(Date.parse(at?.[0] ?? "")).toBeLessThanOrEqual(Date.now());
  await eventually(() => setup.isThrough());
  const stored = { subscription: "sub", reason: "rejected" };
  expect(await readMetric(relay, "relay_dead_letters_total", stored)).toBe(1);
});

test("after retries the letter tells how many attempts there were, and what the last one came to", async () => {
  await using setup = await setUpLetters({ respond: (_request, index) => (index === 0 ? 500 : 503) });
  await addLetterStream(setup, "DLQ");
  await setup.publish("x");
  await using relay = await setup.start({
    entrypoint: { interruptConsumptionOnServerError: false },
    subscription: { retry: { ...RETRY_ON_FAIL, maxAttempts: 1 } },
  });
  const letter = headersOf(await readLetter(setup, "DLQ"));
  expect(letter["Relay-Reason"]).toEqual(["server-error"]);
  expect(letter["Relay-Status"]).toEqual(["503"]);
  expect(letter["Relay-Attempts"]).toEqual(["2"]);
  expect(await readMetric(relay, "relay_attempts_total", { outcome: "server-error" })).toBe(2);
});

test("of a group the first that is there takes the letter, and one is enough to be ready", async () => {
  await using setup = await setUpLetters();
  await addLetterStream(setup, "SECOND");
  await addLetterStream(setup, "THIRD");
  await setup.publish("x");
  await using relay = await setup.start({ letterStreams: ["MISSING", "SECOND", "THIRD"] });
  expect((await readLetter(setup, "SECOND")).string()).toBe("x");
  await eventually(() => setup.isThrough());
  expect(await countLetters(setup, "THIRD")).toBe(0);
  expect((await relay.logged("Message dead-lettered"))["endpoint"]).toBe("SECOND");
  expect((await readReadiness(relay)).status).toBe(200);
});

// The second, for longer than the ack wait: the message stays with the relay that has it, and is not sent again.
test.each([
  ["AUTO", 0],
  ["AT_LEAST_ONCE", 6000],
] as const)(
  "%s: without any place for a letter nothing is acknowledged, readiness is red, and it goes on once there is one",
  async (qos, blockedMs) => {
    await using setup = await setUpLetters({
      respond: ({ body }) => (body.toString() === "bad" ? 404 : 200),
    });
    const { receiver } = setup;
    for (const body of ["bad", "good", "good"]) await setup.publish(body);
    await using relay = await setup.start({ qos, letterStreams: ["ONE", "TWO"] });
    const red = await eventually(
      async () => {
        const answer = await readReadiness(relay);
        return answer.status === 503 && answer.reasons.join().includes("TWO") && answer;
      },
      { withinMs: 5000, what: "red" },
    );
    expect(red.reasons.join()).toContain("Dead-letter stream ONE: not found");
    const redAt = performance.now();
    await eventually(() => performance.now() - redAt > blockedMs);
    /** Under AUTO at the same time. */
    const bodies = () => receiver.requests.map(({ body }) => body.toString()).toSorted();
    expect(bodies()).toEqual(qos === "AT_LEAST_ONCE" ? ["bad"] : ["bad", "good", "good"]);
    expect(await setup.ackFloor()).toBe(0);
    expect(relay.logs.filter(({ message }) => message === "Cannot store dead letters")).toHaveLength(1);
    expect(await isInState(relay, "sub", "running")).toBe(true);
    await addLetterStream(setup, "TWO");
    await eventually(() => setup.isThrough(), { withinMs: 15_000 });
    expect(await countLetters(setup, "TWO")).toBe(1);
    expect(bodies()).toEqual(["bad", "good", "good"]);
    await eventually(async () => (await readReadiness(relay)).status === 200, { what: "green" });
  },
  120_000,
);

test("too big with its headers: the copied ones go; too big without any: interrupted, and never acknowledged", async () => {
  await using setup = await setUpLetters({ natsConfig: "max_payload: 4096" });
  await addLetterStream(setup, "DLQ");
  const own = createHeaders();
  own.append("X-Large", "x".repeat(2000));
  await setup.publish("b".repeat(1800), own);
  await setup.publish("c".repeat(3900));
  await setup.publish("d".repeat(4090));
  await using relay = await setup.start({ qos: "AT_LEAST_ONCE" });
  await eventually(() => isInState(relay, "sub", "failed"));

  const first = await readLetter(setup, "DLQ", 1);
  expect(first.string()).toBe("b".repeat(1800));
  expect(headersOf(first)["X-Large"]).toBeUndefined();
  expect(headersOf(first)["Relay-Error"]).toEqual(["Callback answered 404"]);
  expect(headersOf(first)["webhook-id"]).toHaveLength(1);
  const second = await readLetter(setup, "DLQ", 2);
  expect(second.string()).toBe("c".repeat(3900));
  expect(Object.keys(headersOf(second))).toEqual(["Relay-Signature"]);
  expect(second.subject).toMatch(/^dlq\.sub\.ORDERS\.2-\w+$/);

  const interruption = await relay.logged("Subscription interrupted");
  expect(interruption["cause"]).toMatch(
    /^Message 3 of ORDERS \(orders\.new\): Cannot store its dead letter: Dead-letter stream DLQ: \d+ bytes, of 4096/,
  );
  expect(await setup.ackFloor()).toBe(2);
  expect(await countLetters(setup, "DLQ")).toBe(2);
});

test("a message that comes again and whose letter is stored is acknowledged without a request", async () => {
  await using setup = await setUpLetters({
    respond: (_request, index) => (index === 1 ? null : index === 0 ? 404 : 200),
  });
  const { receiver } = setup;
  await addLetterStream(setup, "DLQ");
  await setup.publish("rejected");
  const sequence = await setup.publish("handled");
  const more = { shutdown: { graceSeconds: 0 } };
  await using first = await setup.start({ more });
  await eventually(() => receiver.requests.length === 2);
  await readLetter(setup, "DLQ");
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  // As if it had been killed between the letter and the acknowledgement.
  const { token } = await tokenOf(setup, sequence);
  const subject = `dlq.sub.ORDERS.${sequence}-${token}`;
  await publishSigned(setup, { stream: "DLQ", subject, body: "handled" });
  await setup.publish("next");
  await using second = await setup.start({ more });
  await eventually(() => receiver.requests.length === 3);
  await eventually(() => setup.isThrough());
  expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["rejected", "handled", "next"]);
  expect(await readMetric(second, "relay_messages_total", { ending: "suppressed" })).toBe(1);
  expect(await countLetters(setup, "DLQ")).toBe(2);
});

test("one that comes again is sent again where somebody else wrote its letter", async () => {
  await using setup = await setUpLetters({ respond: (_request, index) => (index === 0 ? null : 200) });
  const { receiver, client } = setup;
  await addLetterStream(setup, "DLQ");
  const sequence = await setup.publish("handled");
  const more = { shutdown: { graceSeconds: 0 } };
  await using first = await setup.start({ more });
  await eventually(() => receiver.requests.length === 1);
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  const { token } = await tokenOf(setup, sequence);
  await jetstream(client).publish(`dlq.sub.ORDERS.${sequence}-${token}`, "handled");
  await using second = await setup.start({ more });
  await eventually(() => receiver.requests.length === 2);
  await eventually(() => setup.isThrough());
  expect(await readMetric(second, "relay_messages_total", { ending: "delivered" })).toBe(1);
});

test("one that comes again with no letter is sent again", async () => {
  await using setup = await setUpLetters({ respond: (_request, index) => (index === 0 ? null : 200) });
  const { receiver, client } = setup;
  await addLetterStream(setup, "DLQ");
  const sequence = await setup.publish("handled");
  const more = { shutdown: { graceSeconds: 0 } };
  await using first = await setup.start({ more });
  await eventually(() => receiver.requests.length === 1);
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  // Of a stream that had its name before: the same sequence, another time.
  await jetstream(client).publish(`dlq.sub.ORDERS.${sequence}-abc`, "of another message");
  await using second = await setup.start({ more });
  await eventually(() => receiver.requests.length === 2);
  await eventually(() => setup.isThrough());
  expect(await readMetric(second, "relay_messages_total", { ending: "delivered" })).toBe(1);
});
