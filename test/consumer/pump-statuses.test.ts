// The pump against a server that says what it likes: every status of nats-server 2.9 to 2.15, before, between and after the
// messages that it is about. The pump never holds or asks for more than its capacity, and never stops pulling.

import { describe, expect, test } from "bun:test";

import { type Pump, startPump } from "#consumer/pump.ts";
import type { Received } from "#consumer/received.ts";

import { eventually } from "../support/eventually.ts";
import { connected, type TestConnection } from "../support/nats.ts";
import {
  SCRIPTED_CREATED,
  type ScriptedNats,
  type ScriptedPull,
  startScriptedNats,
} from "../support/scripted-nats.ts";

interface Lab extends AsyncDisposable {
  readonly server: ScriptedNats;
  readonly connection: TestConnection;
  readonly pump: Pump;
  readonly received: readonly Received[];
  readonly lost: readonly string[];
  /** What it told about whether the consumer can be used. */
  readonly obstacles: readonly (string | null)[];
  /** The pull with this number, from 1, once it has come. */
  pull: (number: number) => Promise<ScriptedPull>;
  /** Until the pump has seen all that the server sent. */
  seen: () => Promise<void>;
}

async function openLab({ capacity = 3, acks = true } = {}): Promise<Lab> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startScriptedNats());
  const connection = stack.use(await connected(server.url));
  const received: Received[] = [];
  const lost: string[] = [];
  const obstacles: (string | null)[] = [];
  const pump = startPump(connection, {
    source: { domain: null, stream: "ORDERS", ackWaitMs: 30_000 },
    durable: "relay-billing",
    consumerCreated: SCRIPTED_CREATED,
    position: () => null,
    acks,
    maxAckPending: 100,
    pumps: () => 1,
    capacity: { usual: capacity, most: capacity },
    held: 0,
    onMessage: (message) => received.push(message),
    onUsable: (obstacle) => obstacles.push(obstacle),
    onLost: (reason) => lost.push(reason),
    logger: connection.logger,
  });
  stack.defer(() => pump.stop());
  const owned = stack.move();
  return {
    server,
    connection,
    pump,
    received,
    lost,
    obstacles,
    pull: (number) => eventually(() => server.pulls[number - 1], { what: `pull ${number}` }),
    async seen() {
      expect(await connection.flush(5000)).toBe(true);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

describe("startPump() on the status", () => {
  test.each([
    ["before its messages", ["status", 1, 2, 3]],
    ["between them", [1, "status", 2, 3]],
    ["after them", [1, 2, 3, "status"]],
  ])("Batch Completed %s waits for exactly the announced messages", async (_, steps) => {
    await using lab = await openLab();
    const { pump, received, server, pull, seen } = lab;
    const first = await pull(1);
    for (const step of steps) {
      if (typeof step === "number") first.deliver(step);
      else first.status("409 Batch Completed", 0);
      await seen();
      expect(server.pulls.length).toBe(1);
    }
    expect(received.length).toBe(3);
    for (let number = 2; number <= 4; number += 1) {
      pump.release();
      const next = await pull(number);
      expect(next.batch).toBe(1);
      next.deliver(number + 10);
      await seen();
    }
    expect(pump.stats()).toMatchObject({ held: 3, outstanding: 0, silences: 0 });
  });

  test("Batch Completed of a former pull does not end the present one", async () => {
    await using lab = await openLab({ capacity: 1 });
    const { pump, server, pull, seen } = lab;
    const first = await pull(1);
    first.deliver(1);
    await seen();
    pump.release();
    await pull(2);
    first.status("409 Batch Completed", 0);
    await seen();
    expect(pump.stats()).toMatchObject({ outstanding: 1, pulls: 2 });
    expect(server.pulls.length).toBe(2);
  });

  test("408 Request Timeout with messages still on their way asks only for the remaining room", async () => {
    await using lab = await openLab();
    const { server, pull, seen } = lab;
    const first = await pull(1);
    first.status("408 Request Timeout", 1);
    first.deliver(1);
    await seen();
    expect(server.pulls.length).toBe(1);
    first.deliver(2);
    expect((await pull(2)).batch).toBe(1);
  });

  test("Batch Completed for messages that never come continues, and counts late ones separately", async () => {
    await using lab = await openLab();
    const { pump, received, server, pull, seen } = lab;
    const first = await pull(1);
    first.deliver(1);
    first.status("409 Batch Completed", 0);
    server.answerInfos(false);
    await eventually(() => server.infos === 1);
    first.deliver(2);
    await seen();
    server.answerInfos(true);
    const second = await pull(2);
    expect(second.batch).toBe(1);
    first.deliver(3); // Nobody takes it any more.
    await seen();
    expect(received.length).toBe(2);
    second.deliver(4);
    await seen();
    expect(pump.stats()).toMatchObject({ held: 3, outstanding: 0, silences: 1 });
  });

  test.each(["409 Leadership Change", "409 Server Shutdown"])(
    "%s counts what the former leader still sends apart from the next pull",
    async (text) => {
      await using lab = await openLab();
      const { pump, server, pull, seen } = lab;
      const first = await pull(1);
      server.answerInfos(false);
      first.status(text);
      await eventually(() => server.infos === 1);
      first.deliver(1);
      await seen();
      server.answerInfos(true);
      const second = await pull(2);
      expect(second.batch).toBe(2);
      expect(pump.stats()).toMatchObject({ held: 1, outstanding: 2 });
      second.deliver(2);
      await seen();
      expect(pump.stats()).toMatchObject({ held: 2, outstanding: 1 });
    },
  );

  test.each<[text: string, pending: number | null]>([
    ["404 No Messages", null],
    ["404 Requests Pending", null],
    ["408 Requests Pending", null],
    ["408 Interest Expired", 3],
    ["408 Request Timeout", 3],
    ["408 Request Timeout", null],
    ["409 Exceeded MaxWaiting", null],
    ["409 Exceeded MaxAckPending", null],
    ["409 Leadership Change", null],
    ["409 Server Shutdown", 3],
    ["409 Something New", null],
    ["412 Required Api Level", null],
    ["423 Nats-Pin-Id mismatch", null],
    ["423 Nats-Wrong-Pin-Id", 3],
    ["503", null],
    ["599 Something New", null],
  ])("%s (pending: %p) pulls the same again", async (text, pending) => {
    await using lab = await openLab();
    const { lost, pull } = lab;
    (await pull(1)).status(text, pending ?? undefined);
    expect(await pull(2)).toMatchObject({ batch: 3 });
    expect(lost).toEqual([]);
  });

  test.each([
    ["409 Exceeded MaxRequestBatch of 2", { batch: 2 }],
    ["409 Exceeded MaxRequestMaxBytes of 1024", { batch: 3, maxBytes: 1024 }],
    ["409 Exceeded MaxRequestExpires of 15s", { batch: 3, expiresMs: 1000 }],
  ])("%s asks for less", async (text, less) => {
    await using lab = await openLab();
    (await lab.pull(1)).status(text);
    expect(await lab.pull(2)).toMatchObject(less);
  });

  test("Message Size Exceeds MaxBytes takes one without a limit, unless some of the pull came", async () => {
    await using lab = await openLab();
    const { pull } = lab;
    const first = await pull(1);
    first.status("409 Message Size Exceeds MaxBytes", 3);
    const second = await pull(2);
    expect(second).toMatchObject({ batch: 1, maxBytes: 0 });
    second.deliver(1);
    const third = await pull(3);
    expect(third).toMatchObject({ batch: 2 });
    expect(third.maxBytes).toBeGreaterThan(0);
    third.deliver(2);
    third.status("409 Message Size Exceeds MaxBytes", 1);
    const fourth = await pull(4);
    expect(fourth).toMatchObject({ batch: 1 });
    expect(fourth.maxBytes).toBeGreaterThan(0);
  });

  test.each([
    "400 Bad Request - Priority Group missing",
    "409 Consumer Deleted",
    "409 Stream Deleted",
    "409 Consumer is push based",
  ])("%s reports once that the consumer is lost", async (text) => {
    await using lab = await openLab();
    const { lost, pull, seen } = lab;
    const first = await pull(1);
    first.status(text);
    first.status(text);
    await eventually(() => lost.length === 1);
    await seen();
    expect(lost).toEqual([text.slice(4).toLowerCase()]);
  });

  test.each(["100 Idle Heartbeat", "100 FlowControl Request"])("%s keeps waiting", async (text) => {
    await using lab = await openLab();
    const { obstacles, pull, pump, seen } = lab;
    (await pull(1)).status(text);
    await seen();
    expect(pump.stats()).toMatchObject({ outstanding: 3, pulls: 1 });
    expect(obstacles).toEqual([null]);
  });

  test("startPump() reports a silent server within 5 s, and recovers with the first sign of life", async () => {
    await using lab = await openLab();
    const { obstacles, pull, seen, server } = lab;
    (await pull(1)).status("408 Request Timeout", 3);
    const second = await pull(2);
    expect(second.expiresMs).toBe(30_000);
    second.status("100 Idle Heartbeat");
    await seen();
    const usableAt = performance.now();
    await eventually(() => obstacles.length === 2);
    // Long before its pull expires.
    expect(performance.now() - usableAt).toBeLessThan(20_000);
    expect(obstacles[1]).toBe("Cannot consume ORDERS as relay-billing: its pulls are not answered");
    const asked = server.pulls.length;
    const next = await pull(asked + 1);
    next.status("100 Idle Heartbeat");
    await eventually(() => obstacles.length === 3);
    expect(obstacles[2]).toBe(null);
  }, 20_000);
});

/** A way for a pull to end, after `sent` of its messages have been assigned to it. */
type End = (pull: ScriptedPull, sent: number) => void;

const ENDS: readonly End[] = [
  (pull, sent) => pull.status("408 Request Timeout", pull.batch - sent),
  (pull, sent) => pull.status("409 Message Size Exceeds MaxBytes", pull.batch - sent),
  (pull, sent) =>
    sent === pull.batch
      ? pull.status("409 Batch Completed", 0)
      : pull.status("408 Request Timeout", pull.batch - sent),
  (pull, sent) =>
    sent === 0 ? pull.status("404 No Messages") : pull.status("408 Request Timeout", pull.batch - sent),
];

test.each([1, 2, 3, 4])(
  "startPump() never holds more than its capacity, in any order of events (seed %d)",
  async (seed) => {
    const capacity = 4;
    await using lab = await openLab({ capacity });
    const { pump, pull, received, seen } = lab;
    const random = createRandom(seed);
    let sequence = 0;
    for (let number = 1; number <= 40; number += 1) {
      const current = await pull(number);
      expect(current.batch + pump.stats().held).toBeLessThanOrEqual(capacity);
      const sent = Math.floor(random() * (current.batch + 1));
      const end = ENDS[Math.floor(random() * ENDS.length)];
      const endsAfter = Math.floor(random() * (sent + 1));
      for (let nth = 0; nth <= sent; nth += 1) {
        if (nth === endsAfter) end?.(current, sent);
        if (nth < sent) current.deliver((sequence += 1));
        await seen();
        expect(pump.stats().held).toBeLessThanOrEqual(capacity);
      }
      if (sent === current.batch) await seen();
      expect(received.length).toBe(sequence);
      for (let held = pump.stats().held; held > Math.floor(random() * 3); held -= 1) pump.release();
    }
    expect(pump.stats().silences).toBe(0);
  },
  30_000,
);

/** mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
