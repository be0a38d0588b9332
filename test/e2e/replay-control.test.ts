// What a replay waits for, what ends it, and how it is commanded.

import { expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, countLetters, setUpLetters } from "../support/letters.ts";
import { isInState, readMetric } from "../support/metrics.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { makeLetters, numbers, openReplays } from "../support/replays.ts";

async function setUp() {
  const setup = await setUpLetters();
  await addLetterStream(setup, "DLQ");
  return setup;
}

test("it waits while its subscription is paused, and changes nothing of its state when the callback fails", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start();
  await makeLetters(setup, ["x"]);
  const replays = await openReplays(relay);
  await replays.call("POST", "/api/subscriptions/sub/pause");
  receiver.respond(() => 500);
  const asked = await replays.call("POST", "/api/replays", { body: { filter: { subscription: "sub" } } });
  expect(asked.body.warnings).toContain("Subscription sub is PAUSED: the replay waits until it runs");
  const { id } = asked.body;
  await relay.logged("Replay runs");
  await eventually(async () => (await replays.show(id)).relay !== null);
  expect(receiver.requests).toHaveLength(1);
  await replays.call("POST", "/api/subscriptions/sub/resume");
  expect(await replays.ended(id)).toMatchObject({ state: "done", failed: 1 });
  expect(await readMetric(relay, "relay_state_changes_total", { reason: "failure" })).toBe(0);
  await eventually(() => isInState(relay, "sub", "running"));
});

test("it waits while its subscription is in FAILURE, until that is resumed", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start();
  await makeLetters(setup, ["x"]);
  receiver.respond(() => 500);
  await setup.publish("interrupts");
  await eventually(() => isInState(relay, "sub", "failed"));
  const replays = await openReplays(relay);
  const id = await replays.start();
  await eventually(async () => (await replays.show(id)).relay !== null);
  receiver.respond(() => 200);
  expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["x", "interrupts"]);
  await replays.call("POST", "/api/subscriptions/sub/resume");
  expect(await replays.ended(id)).toMatchObject({ state: "done", delivered: 1 });
});

test("it stops after ten server errors in a row, and what was not sent stays as it was", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start();
  await makeLetters(setup, numbers(15));
  receiver.respond(() => 500);
  const replays = await openReplays(relay);
  const replay = await replays.ended(await replays.start({ filter: {}, concurrency: 1 }));
  expect(replay).toMatchObject({
    state: "failed",
    reason: "Stopped after 10 server errors or exceptions in a row",
    failed: 10,
  });
  expect(receiver.requests).toHaveLength(25);
  const { items } = (await replays.call("GET", "/api/dead-letters")).body;
  expect(items.map((letter: { replays: number }) => letter.replays).toSorted()).toEqual([
    ...Array.from({ length: 5 }, () => 0),
    ...Array.from({ length: 10 }, () => 1),
  ]);
});

test("it is paused, resumed and stopped; what has ended cannot be", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start();
  await makeLetters(setup, numbers(40));
  receiver.respond(() => 200);
  const replays = await openReplays(relay);
  const id = await replays.start({ filter: {}, rate: 10 });
  await replays.delivered(id, 5);
  expect(await replays.command(id, "pause")).toBe(200);
  await relay.logged("Replay ended");
  const atRest = receiver.requests.length;
  const paused = await replays.show(id);
  expect(paused).toMatchObject({ state: "paused", endedAt: null });
  expect(paused.delivered).toBe(atRest - 40);
  expect(await countLetters(setup, "DLQ")).toBe(80 - atRest);
  expect(await replays.command(id, "resume")).toBe(200);
  await replays.delivered(id, paused.delivered + 5);
  expect(await replays.command(id, "stop")).toBe(200);
  await eventually(() => relay.logs.filter(({ message }) => message === "Replay ended").length === 2);
  expect(await replays.show(id)).toMatchObject({ state: "stopped" });
  expect(await replays.command(id, "resume")).toBe(409);
  expect(await replays.command("nothing", "pause")).toBe(404);
  const left = await countLetters(setup, "DLQ");
  expect(left).toBe(80 - receiver.requests.length);
  expect(left).toBeGreaterThan(0);
  expect(await replays.ended(await replays.start())).toMatchObject({ state: "done", delivered: left });
  expect(new Set(receiver.requests.map(({ body }) => body.toString())).size).toBe(40);
  expect(receiver.requests).toHaveLength(80);
});

test("it goes on where it was after a restart of the relay", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using first = await setup.start();
  await makeLetters(setup, numbers(60));
  receiver.respond(() => 200);
  const before = await openReplays(first);
  const id = await before.start({ filter: {}, rate: 30 });
  await before.delivered(id, 10);
  first.signal("SIGTERM");
  expect(await first.exited).toBe(0);
  await using second = await setup.start();
  const after = await openReplays(second);
  expect(await after.ended(id)).toMatchObject({ state: "done", delivered: 60 });
  expect(receiver.requests).toHaveLength(120);
  expect(await countLetters(setup, "DLQ")).toBe(0);
});

test("what is purged meanwhile is not sent", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using relay = await setup.start();
  await makeLetters(setup, numbers(10));
  receiver.respond(() => 200);
  const replays = await openReplays(relay);
  const id = await replays.start({ filter: {}, rate: 1 });
  await eventually(() => receiver.requests.length > 10);
  const { items } = (await replays.call("GET", "/api/dead-letters")).body;
  const ids = (items as readonly { id: string }[]).map((letter) => letter.id);
  await replays.call("DELETE", "/api/dead-letters", { body: { ids } });
  const sent = receiver.requests.length;
  const { state, delivered, skipped } = await replays.ended(id);
  expect([state, delivered]).toEqual(["done", receiver.requests.length - 10]);
  // The one that was on its way when the purge came, or was read before it.
  expect(receiver.requests.length - sent + skipped.gone).toBeLessThanOrEqual(1);
});

test("it ends where its subscription is removed while it runs, and the letters stay", async () => {
  await using setup = await setUp();
  const { receiver } = setup;
  await using home = await temporaryDirectory();
  await using relay = await setup.start({
    qos: "AT_LEAST_ONCE",
    directory: home.path,
    others: { spare: receiver.url.href },
    more: { shutdown: { graceSeconds: 1 } },
  });
  await makeLetters(setup, numbers(3));
  const gate = Promise.withResolvers<number>();
  receiver.respond(() => gate.promise);
  const replays = await openReplays(relay);
  const id = await replays.start();
  await eventually(() => receiver.requests.length === 4);
  const path = join(home.path, "relay.config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as { subscriptions: readonly { id: string }[] };
  const subscriptions = config.subscriptions.filter((subscription) => subscription.id !== "sub");
  await writeFile(path, JSON.stringify({ ...config, subscriptions }));
  const replay = await replays.ended(id);
  gate.resolve(200);
  expect(replay).toMatchObject({ state: "done", delivered: 0, failed: 0, skipped: { noSubscription: 3 } });
  expect(await countLetters(setup, "DLQ")).toBe(3);
}, 120_000);

test("AT_MOST_ONCE: it fails with the reason where a full stream cannot take the mark, and sends nothing", async () => {
  await using setup = await setUp();
  const { receiver, manager } = setup;
  await using relay = await setup.start({ qos: "AT_MOST_ONCE" });
  await makeLetters(setup, ["a", "b"]);
  receiver.respond(() => 200);
  const { bytes } = (await manager.streams.info("DLQ")).state;
  const limits = { max_msgs_per_subject: 1, discard: "new" } as const;
  await manager.streams.update("DLQ", { ...limits, max_bytes: bytes + 10 });
  const replays = await openReplays(relay);
  const replay = await replays.ended(await replays.start());
  expect(replay).toMatchObject({ state: "failed", delivered: 0, failed: 0 });
  expect(replay.reason).toMatch(
    /^Cannot mark dlq\.sub\.ORDERS\.1-\w+ before it is sent: Dead-letter stream DLQ is full$/,
  );
  expect(receiver.requests).toHaveLength(2);
  expect(await countLetters(setup, "DLQ")).toBe(2);
  await manager.streams.update("DLQ", { ...limits, max_bytes: bytes * 2 });
  expect(await replays.ended(await replays.start())).toMatchObject({ state: "done", delivered: 2 });
});
