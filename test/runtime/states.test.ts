// States of two relays that share a bucket on a real server: followed, told by one of them, and not undone by the other.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { FailureCause } from "#delivery/status.ts";
import { createHolds, type Holds } from "#runtime/holds.ts";
import { createStates, type StateChange, type StatusCell } from "#runtime/states.ts";
import { openTestBucket, WITHIN_A_SECOND } from "../bucket/buckets.ts";
import { eventually } from "../support/eventually.ts";
import { connected, openTestConnection, type TestConnection } from "../support/nats.ts";
import { freePort, type NatsServer, startNatsServer } from "../support/nats-server.ts";

const MESSAGE = { stream: "ORDERS", sequence: 7, timestampNanos: 1_700_000_000_123_456_789n };
const CAUSE: FailureCause = {
  text: "Callback answered 500",
  at: new Date(1_700_000_000_000),
  message: MESSAGE,
};

let stack: AsyncDisposableStack;
let nats: NatsServer;
let names = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
});
afterAll(() => stack.disposeAsync());

interface Relay extends AsyncDisposable {
  readonly changes: readonly StateChange[];
  readonly cell: StatusCell;
  readonly holds: Holds;
  /** As after a reload: another cell of the same subscription. */
  readonly open: (declared: "ACCEPTED" | "PAUSED") => StatusCell;
}

async function startOn(connection: TestConnection, name: string): Promise<Relay> {
  await using owned = new AsyncDisposableStack();
  owned.use(connection);
  const bucket = owned.use(openTestBucket(connection, { name }));
  const changes: StateChange[] = [];
  const holds = createHolds(bucket);
  const states = createStates(
    {
      ...bucket,
      async ready(signal, onKnown) {
        const isKnown = await bucket.ready(signal);
        if (isKnown) onKnown();
        return isKnown;
      },
    },
    { holds, onChanged: (change) => void changes.push(change) },
  );
  owned.defer(states.close);
  const owner = { application: () => "shop" };
  const cell = states.of("sub", "ACCEPTED", owner);
  const moved = owned.move();
  return {
    changes,
    cell,
    holds,
    open: (declared) => states.of("sub", declared, owner),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

async function start(name: string): Promise<Relay> {
  const relay = await startOn(await connected(nats.url), name);
  expect(await relay.cell.ready(AbortSignal.timeout(5000))).toBe(true);
  return relay;
}

function newBucket(): string {
  names += 1;
  return `states-${names}`;
}

const reasons = ({ changes }: Relay) => changes.map(({ reason }) => reason);

test("createStates() follows changes of another relay, and only the relay that made one reports it", async () => {
  const name = newBucket();
  await using one = await start(name);
  await using other = await start(name);
  let told = 0;
  other.cell.onChange(() => (told += 1));
  await one.cell.command({ kind: "pause" });
  expect(one.cell.current.status).toBe("PAUSED");
  await eventually(() => other.cell.current.status === "PAUSED", WITHIN_A_SECOND);
  expect(told).toBe(1);
  other.cell.fail(CAUSE);
  await eventually(() => one.cell.current.consumerStatus === "FAILURE", WITHIN_A_SECOND);
  expect(one.cell.current).toEqual({
    status: "PAUSED",
    consumerStatus: "FAILURE",
    failure: CAUSE,
    skip: null,
  });
  await one.cell.command({ kind: "resume", skip: true });
  await eventually(() => other.cell.isSkipped(MESSAGE), WITHIN_A_SECOND);
  expect([reasons(one), reasons(other)]).toEqual([["pause", "resume"], ["failure"]]);
});

test("command() and fail() of two relays at once undo nothing of each other", async () => {
  const name = newBucket();
  await using one = await start(name);
  await using other = await start(name);
  await one.cell.command({ kind: "pause" });
  await other.cell.command({ kind: "stop" });
  for (const { cell } of [one, other]) {
    await eventually(() => cell.current.status === "PAUSED" && cell.current.consumerStatus === "STOPPED");
  }
});

test("ready() clears FAILURE, and neither PAUSED nor STOPPED", async () => {
  const name = newBucket();
  {
    await using one = await start(name);
    one.cell.fail(CAUSE);
    await one.cell.command({ kind: "pause" });
  }
  {
    await using again = await start(name);
    expect(again.cell.current).toMatchObject({ status: "PAUSED", consumerStatus: "STARTED" });
    expect(reasons(again)).toEqual(["restart"]);
    await again.cell.command({ kind: "stop" });
  }
  await using last = await start(name);
  expect(last.cell.current).toMatchObject({ status: "PAUSED", consumerStatus: "STOPPED" });
  expect(reasons(last)).toEqual([]);
});

test("ready() keeps a failure of this run, and a command counts before the bucket is read", async () => {
  const port = await freePort();
  await using late = await startOn(openTestConnection(`nats://127.0.0.1:${port}`), "relay");
  late.cell.fail(CAUSE);
  await late.cell.command({ kind: "pause" });
  expect(late.cell.current).toMatchObject({ status: "PAUSED", consumerStatus: "FAILURE" });
  await using server = await startNatsServer({ port });
  expect(await late.cell.ready(AbortSignal.timeout(10_000))).toBe(true);
  expect(late.cell.current).toMatchObject({ status: "PAUSED", consumerStatus: "FAILURE" });
  await using other = await startOn(await connected(server.url), "relay");
  await eventually(() => other.cell.current.status === "PAUSED");
});

test("declare() changes the status when the definition does, once for all relays, and not over a later command", async () => {
  const name = newBucket();
  await using one = await start(name);
  await using other = await start(name);
  one.cell.declare("PAUSED");
  await eventually(() => other.cell.current.status === "PAUSED", WITHIN_A_SECOND);
  await other.cell.command({ kind: "resume", skip: false });
  other.cell.declare("PAUSED");
  expect(other.cell.current.status).toBe("ACCEPTED");
  await eventually(() => one.cell.current.status === "ACCEPTED", WITHIN_A_SECOND);
  one.cell.declare("PAUSED");
  expect(one.open("PAUSED").current.status).toBe("ACCEPTED");
  expect([reasons(one), reasons(other)]).toEqual([["configuration"], ["resume"]]);
});

test("end() is reported by one relay, once per endingAt", async () => {
  const name = newBucket();
  await using one = await start(name);
  await using other = await start(name);
  const endingAt = new Date(1_800_000_000_000);
  await Promise.all([one.cell.end(endingAt), other.cell.end(endingAt)]);
  await eventually(() => reasons(one).length + reasons(other).length === 1);
  for (const { cell } of [one, other]) await cell.end(endingAt);
  expect([...reasons(one), ...reasons(other)]).toEqual(["end"]);
});

test("seekMarks.end() reaches every relay and clears the skip; forget() leaves no key", async () => {
  const name = newBucket();
  await using one = await start(name);
  await using other = await start(name);
  one.cell.fail(CAUSE);
  await one.cell.command({ kind: "resume", skip: true });
  one.cell.seekMarks.end({ id: "move-1", phase: "moved", by: "one", beat: 0 });
  await eventually(() => other.cell.seekMarks.current?.id === "move-1", WITHIN_A_SECOND);
  await eventually(() => !other.cell.isSkipped(MESSAGE), WITHIN_A_SECOND);
  await other.cell.command({ kind: "stop" });
  other.cell.forget();
  await eventually(
    () => one.cell.seekMarks.current === null && one.cell.current.consumerStatus === "STARTED",
  );
  expect(reasons(other)).toEqual(["stop", "deletion"]);
});

test("forget() keeps a pause: a new subscription of that id is paused until it is resumed", async () => {
  await using relay = await start(newBucket());
  await relay.cell.command({ kind: "pause" });
  relay.cell.forget();
  const again = relay.open("ACCEPTED");
  expect(again.current.status).toBe("PAUSED");
  again.forget();
  expect(relay.open("ACCEPTED").current.status).toBe("PAUSED");
  const { length } = relay.changes;
  await again.command({ kind: "resume", skip: false });
  expect(again.current.status).toBe("ACCEPTED");
  expect(relay.changes.slice(length)).toMatchObject([
    { reason: "resume", from: { status: "PAUSED" }, to: { status: "ACCEPTED" } },
  ]);
  again.forget();
  expect(relay.open("ACCEPTED").current.status).toBe("ACCEPTED");
});

test("pause() of an application pauses its subscriptions in every relay, and resume() leaves single pauses alone", async () => {
  const name = newBucket();
  await using first = await start(name);
  await using second = await start(name);
  let told = 0;
  second.cell.onChange(() => (told += 1));
  await first.holds.pause("shop");
  await eventually(() => second.cell.current.status === "PAUSED", WITHIN_A_SECOND);
  expect(told).toBeGreaterThan(0);
  expect(second.cell.isApplicationPaused).toBe(true);
  expect(second.holds.isApplicationHeld("bank")).toBe(false);
  expect(second.holds.applications().map(({ application }) => application)).toEqual(["shop"]);
  const resume = second.cell.command({ kind: "resume", skip: false });
  expect(await resume.then(() => "taken", String)).toContain("its application is paused");
  await second.holds.resume("shop");
  await eventually(() => first.cell.current.status === "ACCEPTED", WITHIN_A_SECOND);
  await first.cell.command({ kind: "pause" });
  await first.holds.pause("shop");
  await first.holds.resume("shop");
  expect(first.cell.current.status).toBe("PAUSED");
});

test("remember() keeps the newest 1,000 ids; pause() refuses application 1,001", async () => {
  await using relay = await start(newBucket());
  for (let index = 0; index <= 1000; index += 1) relay.holds.remember(`id-${index}`);
  const held = Array.from({ length: 1001 }, (_, index) => relay.holds.isIdHeld(`id-${index}`));
  expect([held.filter((isHeld) => isHeld).length, held.at(-1)]).toEqual([1000, true]);
  await Promise.all(Array.from({ length: 1000 }, (_, index) => relay.holds.pause(`application-${index}`)));
  const refusal = relay.holds.pause("one-more").then(() => "taken", String);
  expect(await refusal).toContain("1000 applications are paused, allowed: no more");
  await relay.holds.pause("application-7");
}, 30_000);
