// Replays whose relay is killed with SIGKILL, again and again, or for good: another run, or another relay, goes on. And whose
// nats-server is killed, which then forgets what was removed a moment before.

import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, countLetters, setUpLetters } from "../support/letters.ts";
import { makeLetters, numbers, openReplays } from "../support/replays.ts";
import { temporaryDirectory } from "../support/relay.ts";

const CONNECTIONS = 3;
const OPTIONS = { entrypoint: { http: { maxConcurrentConnections: CONNECTIONS } } };

async function setUp() {
  const setup = await setUpLetters();
  await addLetterStream(setup, "DLQ");
  return setup;
}

/** Answered with 2xx, by webhook-id. */
function countAnswered(setup: Awaited<ReturnType<typeof setUp>>): Map<string, number> {
  const answered = new Map<string, number>();
  setup.receiver.respond(async ({ body }) => {
    await Bun.sleep(5);
    const name = body.toString();
    answered.set(name, (answered.get(name) ?? 0) + 1);
    return 200;
  });
  return answered;
}

function repeatedOf(answered: ReadonlyMap<string, number>): number {
  return [...answered.values()].reduce((sum, count) => sum + count - 1, 0);
}

test("killed again and again: nothing is sent twice but what was in flight, and nothing is left", async () => {
  const LETTERS = 400;
  const KILLS = 3;
  await using setup = await setUp();
  await using stack = new AsyncDisposableStack();
  let relay = await setup.start(OPTIONS);
  stack.defer(() => relay[Symbol.asyncDispose]());
  await makeLetters(setup, numbers(LETTERS));
  const answered = countAnswered(setup);
  const id = await (await openReplays(relay)).start();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    await eventually(() => answered.size >= (LETTERS * kill) / (KILLS + 1), { withinMs: 20_000 });
    relay.signal("SIGKILL");
    await relay.exited;
    relay = await setup.start(OPTIONS);
  }
  const replays = await openReplays(relay);
  expect(await replays.ended(id)).toMatchObject({ state: "done", failed: 0 });
  expect(await countLetters(setup, "DLQ")).toBe(0);
  expect(answered.size).toBe(LETTERS);
  expect(repeatedOf(answered)).toBeLessThanOrEqual(KILLS * CONNECTIONS);
}, 120_000);

test("of two relays one replays; when it is killed the other takes over", async () => {
  const LETTERS = 300;
  await using setup = await setUp();
  await using second = await temporaryDirectory();
  await using one = await setup.start(OPTIONS);
  await makeLetters(setup, numbers(LETTERS));
  await using two = await setup.start({ ...OPTIONS, directory: second.path });
  await two.logged("Consuming");
  const answered = countAnswered(setup);
  const id = await (await openReplays(two)).start({ filter: {}, rate: 60 });
  const isAtWork = (relay: typeof one) => relay.logs.some(({ message }) => message === "Replay runs");
  await eventually(() => answered.size >= LETTERS / 4);
  expect(isAtWork(one)).not.toBe(isAtWork(two));
  const [victim, other] = isAtWork(one) ? [one, two] : [two, one];
  victim.signal("SIGKILL");
  await victim.exited;
  await other.logged("Replay runs");
  const replays = await openReplays(other);
  expect(await replays.ended(id)).toMatchObject({ state: "done", failed: 0 });
  expect(await countLetters(setup, "DLQ")).toBe(0);
  expect(answered.size).toBe(LETTERS);
  expect(repeatedOf(answered)).toBeLessThanOrEqual(CONNECTIONS);
}, 120_000);

test("nats-server killed: what it forgot is removed again, nothing is sent twice but what was in flight", async () => {
  const LETTERS = 400;
  const MANY = 20;
  await using setup = await setUp();
  await using relay = await setup.start({ entrypoint: { http: { maxConcurrentConnections: MANY } } });
  await makeLetters(setup, numbers(LETTERS));
  const answered = countAnswered(setup);
  const replays = await openReplays(relay);
  const id = await replays.start();
  await eventually(() => answered.size >= LETTERS / 2, { withinMs: 20_000 });
  await setup.nats.kill();
  await setup.nats.restart();
  expect(await replays.ended(id)).toMatchObject({ state: "done", failed: 0 });
  expect(await countLetters(setup, "DLQ")).toBe(0);
  expect(answered.size).toBe(LETTERS);
  expect(repeatedOf(answered)).toBeLessThanOrEqual(MANY);
}, 120_000);

test("AT_MOST_ONCE: killed while it sends, nothing is sent a second time without force", async () => {
  await using setup = await setUp();
  const once = { qos: "AT_MOST_ONCE" } as const;
  await using first = await setup.start(once);
  await makeLetters(setup, ["a", "b", "c"]);
  setup.receiver.respond(({ body }) => (body.toString() === "b" ? null : 200));
  const id = await (await openReplays(first)).start();
  await eventually(() => setup.receiver.requests.length === 5);
  first.signal("SIGKILL");
  await first.exited;
  setup.receiver.respond(() => 200);
  await using second = await setup.start(once);
  const replays = await openReplays(second);
  expect(await replays.ended(id)).toMatchObject({ state: "done" });
  expect(setup.receiver.requests.map(({ body }) => body.toString())).toEqual(["a", "b", "c", "a", "b", "c"]);
  expect(await replays.ended(await replays.start())).toMatchObject({
    delivered: 0,
    skipped: { needsForce: 1 },
  });
  expect(await replays.ended(await replays.start({ filter: {}, force: true }))).toMatchObject({
    delivered: 1,
  });
  expect(await countLetters(setup, "DLQ")).toBe(0);
}, 120_000);
