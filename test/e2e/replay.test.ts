// Dead letters given to their callbacks again by a running relay: which, how, to whom, what leaves and what stays.

import { jetstream } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/transport-node";
import { expect, test } from "bun:test";
import { RETRY_ON_FAIL } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, countLetters, headersOf, readLetter, setUpLetters } from "../support/letters.ts";
import { readMetric } from "../support/metrics.ts";
import { headerOf, startReceiver } from "../support/receiver.ts";
import { makeLetters, numbers, openReplays } from "../support/replays.ts";

async function setUp(respond?: Parameters<typeof setUpLetters>[0]) {
  const setup = await setUpLetters(respond);
  await addLetterStream(setup, "DLQ");
  return setup;
}

test("what is delivered leaves: the same bytes, headers and webhook-id, and the letter is gone", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  const own = createHeaders();
  own.append("X-Tenant", "a");
  own.append("Content-Type", "text/plain");
  const bytes = new Uint8Array([0, 255, 128, 10]);
  await setup.publish(bytes, own);
  await using relay = await setup.start();
  await eventually(async () => (await countLetters(setup, "DLQ")) === 1);
  receiver.respond(() => 204);
  const replays = await openReplays(relay);
  const replay = await replays.ended(await replays.start());
  expect(replay).toMatchObject({ state: "done", delivered: 1, failed: 0 });
  expect(await countLetters(setup, "DLQ")).toBe(0);
  const [first, second] = receiver.requests;
  if (first === undefined || second === undefined) throw new Error("There were not two requests");
  expect([...second.body]).toEqual([...bytes]);
  const kept = ["webhook-id", "X-Tenant", "Content-Type", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"];
  for (const name of kept) expect([name, headerOf(second, name)]).toEqual([name, headerOf(first, name)]);
  expect(headerOf(second, "webhook-id")).toStartWith("msg_ORDERS_1_");
  expect(second.headers.filter(([name]) => name.toLowerCase().startsWith("relay-"))).toEqual([]);
  expect(await readMetric(relay, "relay_messages_total", { ending: "delivered" })).toBe(1);
});

test("what fails stays in its place, with its newest error and one more replay, under the same id", async () => {
  await using setup = await setUp({ respond: () => 404 });
  const { receiver } = setup;
  await using relay = await setup.start({ subscription: { retry: RETRY_ON_FAIL } });
  await makeLetters(setup, ["x"]);
  const replays = await openReplays(relay);
  const list = async () => (await replays.call("GET", "/api/dead-letters")).body.items;
  const [before] = await list();
  receiver.respond((_request, index) => ({ status: index === 1 ? 503 : 410 }));
  expect(await replays.ended(await replays.start())).toMatchObject({
    state: "done",
    delivered: 0,
    failed: 1,
  });
  expect(await countLetters(setup, "DLQ")).toBe(1);
  const [after] = await list();
  expect(after).toEqual({
    ...before,
    status: 410,
    error: "Callback answered 410",
    attempts: 2,
    replays: 1,
  });
  expect(before).toMatchObject({ status: 404, attempts: 1, replays: 0 });
  const stored = headersOf(await readLetter(setup, "DLQ", 2));
  expect(stored["Relay-Replays"]).toEqual(["1"]);
  expect(stored["webhook-id"]?.[0]).toStartWith("msg_ORDERS_1_");
  receiver.respond(() => 200);
  expect(await replays.ended(await replays.start())).toMatchObject({ delivered: 1 });
  expect(await countLetters(setup, "DLQ")).toBe(0);
});

test("AT_LEAST_ONCE: one at a time, in order, alternating with live messages", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start({ qos: "AT_LEAST_ONCE" });
  await makeLetters(
    setup,
    numbers(10).map((n) => `letter ${n}`),
  );
  let inFlight = 0;
  let most = 0;
  receiver.respond(async () => {
    inFlight += 1;
    most = Math.max(most, inFlight);
    await Bun.sleep(60);
    inFlight -= 1;
    return 200;
  });
  for (const n of numbers(40)) await setup.publish(`live ${n}`);
  const replays = await openReplays(relay);
  const replay = await replays.ended(await replays.start());
  expect(replay).toMatchObject({ state: "done", delivered: 10 });
  await eventually(() => setup.isThrough());
  const bodies = receiver.requests.slice(10).map(({ body }) => body.toString());
  expect(most).toBe(1);
  const live = bodies.filter((body) => body.startsWith("live"));
  expect(live).toEqual(numbers(40).map((n) => `live ${n}`));
  expect(bodies.filter((body) => body.startsWith("letter"))).toEqual(numbers(10).map((n) => `letter ${n}`));
  const places = bodies.flatMap((body, index) => (body.startsWith("letter") ? [index] : []));
  const gaps = places.slice(1).map((place, index) => place - (places[index] ?? 0));
  // A letter is read and removed in between: now and then two live ones follow each other, and more on a busy machine.
  expect(gaps.toSorted((a, b) => a - b)[4]).toBeWithin(2, 4);
});

test("to: another subscription gets them, and they leave", async () => {
  await using setup = await setUp();
  await using other = await startReceiver();
  await using relay = await setup.start({ others: { spare: other.url.href } });
  await makeLetters(setup, ["x"]);
  const before = other.requests.length;
  const replays = await openReplays(relay);
  const unknown = await replays.call("POST", "/api/replays", { body: { filter: {}, to: "nobody" } });
  expect(unknown).toMatchObject({
    status: 422,
    body: { errors: [{ path: "to", message: "there is no such subscription here" }] },
  });
  const replay = await replays.ended(await replays.start({ filter: { subscription: "sub" }, to: "spare" }));
  expect(replay).toMatchObject({ state: "done", delivered: 1, to: "spare" });
  expect(setup.receiver.requests).toHaveLength(1);
  expect(other.requests).toHaveLength(before + 1);
  expect(other.requests.at(-1)?.body.toString()).toBe("x");
  expect(await countLetters(setup, "DLQ")).toBe(0);
});

test("AT_MOST_ONCE: what may have arrived needs force, what was rejected does not", async () => {
  await using setup = await setUp({ respond: ({ body }) => (body.toString() === "rejected" ? 404 : 500) });
  const { receiver } = setup;
  const entrypoint = { interruptConsumptionOnServerError: false };
  await using relay = await setup.start({ qos: "AT_MOST_ONCE", entrypoint });
  await makeLetters(setup, ["rejected", "perhaps"]);
  receiver.respond(() => 200);
  const replays = await openReplays(relay);
  const timid = await replays.ended(await replays.start());
  expect(timid).toMatchObject({ state: "done", delivered: 1, skipped: { needsForce: 1 } });
  expect(receiver.requests.at(-1)?.body.toString()).toBe("rejected");
  const forced = await replays.ended(await replays.start({ filter: {}, force: true }));
  expect(forced).toMatchObject({ state: "done", delivered: 1 });
  expect(receiver.requests.map(({ body }) => body.toString())).toEqual([
    "rejected",
    "perhaps",
    "rejected",
    "perhaps",
  ]);
  expect(await countLetters(setup, "DLQ")).toBe(0);
});

test("what Relay did not write is shown, counted and left where it is", async () => {
  await using setup = await setUp();
  await using relay = await setup.start();
  await makeLetters(setup, ["x"]);
  await jetstream(setup.client).publish("dlq.of-somebody-else", "not ours");
  setup.receiver.respond(() => 200);
  const replays = await openReplays(relay);
  const replay = await replays.ended(await replays.start());
  expect(replay).toMatchObject({ state: "done", delivered: 1, skipped: { foreign: 1 } });
  const { items } = (await replays.call("GET", "/api/dead-letters")).body;
  expect(items).toMatchObject([{ isForeign: true, subject: "dlq.of-somebody-else" }]);
});

test("a dry run counts, max limits, ids name, a filter chooses", async () => {
  await using setup = await setUp({ respond: ({ body }) => (Number(body.toString()) <= 2 ? 404 : 410) });
  await using relay = await setup.start();
  await makeLetters(setup, numbers(6));
  const { receiver } = setup;
  receiver.respond(() => 200);
  const replays = await openReplays(relay);
  const dry = await replays.ended(await replays.start({ filter: { status: "410" }, dryRun: true }));
  expect(dry).toMatchObject({ state: "done", matching: 4, delivered: 0, dryRun: true });
  expect(receiver.requests).toHaveLength(6);
  const both = await replays.ended(
    await replays.start({ filter: { status: ["410", "404"], subscription: ["sub", "b"] }, dryRun: true }),
  );
  expect(both.matching).toBe(6);
  const few = await replays.ended(await replays.start({ filter: { status: "410" }, max: 1 }));
  expect(few).toMatchObject({ state: "done", delivered: 1 });
  const { items } = (await replays.call("GET", "/api/dead-letters?status=404")).body;
  const ids = [items[0].id, "sub.ORDERS.99-abc"];
  expect(await replays.ended(await replays.start({ ids }))).toMatchObject({
    delivered: 1,
    ids: 2,
    skipped: { gone: 1 },
  });
  const [limited, named, ...others] = receiver.requests.slice(6).map(({ body }) => Number(body.toString()));
  expect(limited).toBeGreaterThan(2);
  expect(named).toBe(items[0].sequence);
  expect(others).toEqual([]);
  const wrong = { filter: { status: "4" }, rate: 0 };
  expect(await replays.call("POST", "/api/replays", { body: wrong })).toMatchObject({
    status: 422,
    body: { errors: [{ path: "filter.status" }, { path: "rate" }] },
  });
  expect((await replays.call("POST", "/api/replays", { body: {} })).status).toBe(422);
});
