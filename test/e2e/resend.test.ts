// Messages of the stream are sent once more, beside the position: by sequence, webhook-id and time; across a kill of the relay.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { eventually } from "../support/eventually.ts";
import { addLetterStream, setUpLetters, type LettersSetup } from "../support/letters.ts";
import { isInState } from "../support/metrics.ts";
import { runRelay } from "../support/relay.ts";
import { numbers, openReplays, type ReplaysApi } from "../support/replays.ts";

async function setUp(count: number) {
  const setup = await setUpLetters({ respond: () => 200 });
  await addLetterStream(setup, "DLQ");
  return Object.assign(setup, { bodies: numbers(count) });
}

async function publishAll({
  publish,
  isThrough,
  receiver,
  bodies,
}: LettersSetup & { bodies: readonly string[] }) {
  for (const body of bodies) await publish(body);
  await eventually(() => receiver.requests.length === bodies.length);
  await eventually(() => isThrough());
}

async function resend(replays: ReplaysApi, body: object): Promise<string> {
  const answer = await replays.call("POST", "/api/subscriptions/sub/resend", { body });
  expect(answer.status).toBe(202);
  expect(answer.headers.get("location")).toBe(`/api/replays/${answer.body.id}`);
  return answer.body.id as string;
}

test("resend sends what is named, once more, and changes neither position nor state", async () => {
  await using setup = await setUp(10);
  const { receiver, client, manager } = setup;
  await using relay = await setup.start({ subscription: { channel: "orders.new" } });
  await publishAll(setup);
  await jetstream(client).publish("orders.other", "of another subject");
  const replays = await openReplays(relay);
  const floor = await setup.ackFloor();
  const sentBy = async (body: object) => {
    const before = receiver.requests.length;
    const replay = await replays.ended(await resend(replays, body));
    return { replay, bodies: receiver.requests.slice(before).map((request) => request.body.toString()) };
  };

  const webhookIdOf = (index: number) =>
    receiver.requests.at(index)?.headers.find(([name]) => name === "webhook-id")?.[1];
  const third = webhookIdOf(2);
  expect((await sentBy({ sequence: 3 })).bodies).toEqual(["3"]);
  expect(webhookIdOf(-1)).toBe(third);
  expect((await sentBy({ webhookId: third })).bodies).toEqual(["3"]);
  const range = await sentBy({ sequences: { from: 4, to: 6 }, concurrency: 1 });
  expect(range.bodies).toEqual(["4", "5", "6"]);
  expect(range.replay).toMatchObject({ source: "stream", sequences: { from: 4, to: 6 }, delivered: 3 });
  const dry = await sentBy({ times: { from: "2020-01-01T00:00:00Z" }, dryRun: true });
  expect(dry).toMatchObject({ bodies: [], replay: { matching: 10 } });
  expect((await sentBy({ times: { from: "2020-01-01T00:00:00Z" }, concurrency: 1 })).bodies).toEqual(
    setup.bodies,
  );
  const later = new Date(Date.now() + 60_000).toISOString();
  expect((await sentBy({ times: { from: later } })).replay).toMatchObject({ delivered: 0, state: "done" });

  await manager.streams.deleteMessage("ORDERS", 5);
  await manager.streams.purge("ORDERS", { seq: 3 });
  expect((await sentBy({ sequences: { from: 1, to: 6 } })).replay).toMatchObject({
    delivered: 3,
    skipped: { gone: 3 },
  });
  expect((await sentBy({ webhookId: `msg_ORDERS_6_a` })).replay).toMatchObject({
    delivered: 0,
    skipped: { gone: 1 },
  });
  expect((await sentBy({ sequence: 11 })).replay).toMatchObject({ delivered: 0, skipped: { excluded: 1 } });
  expect((await sentBy({ sequence: 99 })).replay).toMatchObject({ delivered: 0, skipped: { gone: 1 } });

  receiver.respond(() => ({ status: 422, body: "out of stock" }));
  expect((await sentBy({ sequence: 10 })).replay).toMatchObject({ failed: 1, state: "done" });
  const failed = await eventually(
    async () => (await replays.call("GET", "/api/deliveries?status=422")).body.items[0] ?? false,
  );
  expect(failed).toMatchObject({
    sequence: 10,
    error: "Callback answered 422: out of stock",
    deadLetterId: null,
  });
  expect((await replays.call("GET", "/api/dead-letters")).body.items).toEqual([]);
  expect(await setup.ackFloor()).toBeGreaterThanOrEqual(floor);
  expect(await isInState(relay, "sub", "running")).toBe(true);

  for (const [body, status] of [
    [{}, 422],
    [{ sequence: 1, webhookId: third }, 422],
    [{ sequence: 0 }, 422],
    [{ webhookId: "msg_OTHER_1_a" }, 422],
    [{ sequences: { from: 5, to: 4 } }, 422],
  ] as const) {
    expect((await replays.call("POST", "/api/subscriptions/sub/resend", { body })).status).toBe(status);
  }
  const nobody = await replays.call("POST", "/api/subscriptions/nobody/resend", { body: { sequence: 1 } });
  expect(nobody.status).toBe(404);

  receiver.respond(() => 200);
  const command = async (...args: readonly string[]) =>
    runRelay(["subscriptions", "resend", "sub", "--url", await relay.url(), ...args], { cwd: "/" });
  const done = await command("--sequence", "7", "--json");
  expect(done.exitCode).toBe(0);
  expect(receiver.requests.at(-1)?.body.toString()).toBe("7");
  expect((await command("--from", "4", "--to", "6", "--dry-run", "--json")).stdout).toContain('"matching":2');
  expect((await command("--sequence", "99")).exitCode).toBe(1);
  expect((await command("--to", "6")).exitCode).toBe(2);
});

test.each(["AUTO", "AT_MOST_ONCE"] as const)(
  "resend goes on after a kill of the relay, under %s",
  async (qos) => {
    await using setup = await setUp(40);
    const { receiver, bodies } = setup;
    await using first = await setup.start({ qos });
    await publishAll(setup);
    const before = await openReplays(first);
    const id = await resend(before, { sequences: { from: 1 }, rate: 20 });
    await before.delivered(id, 8);
    first.signal("SIGKILL");
    await first.exited;
    await using second = await setup.start({ qos });
    const after = await openReplays(second);
    const replay = await after.ended(id);
    const again = receiver.requests.slice(40).map((request) => request.body.toString());
    const missing = bodies.filter((body) => !again.includes(body));
    if (qos === "AUTO") expect(missing).toEqual([]);
    else {
      expect(again).toHaveLength(new Set(again).size);
      expect(missing.length).toBeLessThanOrEqual(1);
    }
    expect(replay.state).toBe("done");
  },
);
