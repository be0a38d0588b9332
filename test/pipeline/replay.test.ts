// One dead letter on its way back to a real callback: its turn among live messages, its claim, its retries, and how it ends.

import { expect, test } from "bun:test";
import { type Callback, openCallback } from "#callback/client.ts";
import type { Message } from "#delivery/message.ts";
import type { Exception } from "#delivery/outcome.ts";
import { UNSHAPED } from "#delivery/shape.ts";
import { concurrencyOf, type Subscription } from "#delivery/subscription.ts";
import type { Attempted, Postponed, Settled } from "#pipeline/observer.ts";
import { type Claim, replayMessage, type ReplayResult } from "#pipeline/replay.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/nats-server.ts";
import { headerOf, type Respond, startReceiver } from "../support/receiver.ts";
import { toCallbackSettings, toSubscription } from "../support/subscription.ts";

const LETTER: Message = {
  stream: "ORDERS",
  sequence: 7,
  subject: "orders.new",
  timestampNanos: 1_000n,
  deliveryCount: 1,
  headers: [["X-Tenant", "a"]],
  unreadableHeaders: 0,
  body: new TextEncoder().encode("letter"),
};
const ABORTED = AbortSignal.abort();
const RETRY: Subscription["retry"] = {
  kind: "linear",
  maxAttempts: 3,
  initialDelayMs: 10,
  maxDelayMs: 20,
};

async function setUp(
  respond: Respond,
  changes: Partial<Subscription> = {},
  watch: (callback: Callback) => Callback = (callback) => callback,
) {
  await using stack = new AsyncDisposableStack();
  const receiver = stack.use(await startReceiver(respond));
  const subscription = toSubscription({ callback: toCallbackSettings(receiver.url), ...changes });
  const terms = createTerms(subscription, {
    openCallback: (wanted) => watch(openCallback(wanted.callback, { connections: concurrencyOf(wanted) })),
    hasDeadLetters: true,
  });
  stack.defer(() => terms.close(0));
  const turns = createTurns(concurrencyOf(subscription));
  const stops: string[] = [];
  const attempts: Attempted[] = [];
  const postponed: Postponed[] = [];
  const endings: Settled[] = [];
  const waiting = new AbortController();
  const ending = new AbortController();
  let isRunning = true;
  let waits = 0;
  const owned = stack.move();
  return {
    receiver,
    turns,
    attempts,
    postponed,
    endings,
    waiting,
    ending,
    setRunning: (value: boolean) => void (isRunning = value),
    /** How often it was found running before a turn was asked for. */
    waits: () => waits,
    /** `claims` are given in turn, the last one again and again. */
    replay(claims: readonly Claim[] = ["claimed"]): { result: Promise<ReplayResult>; claimed: () => number } {
      let claimed = 0;
      const result = replayMessage(
        LETTER,
        {
          claim: () => Promise.resolve(claims[Math.min(claimed++, claims.length - 1)] ?? "gone"),
          letter: { id: "one.ORDERS.1-a", endpoint: "letters" },
          waiting: waiting.signal,
          ending: ending.signal,
        },
        {
          terms,
          turns,
          observer: {
            attempted: (report) => void attempts.push(report),
            settled: (report) => void endings.push(report),
            postponed: (report) => void postponed.push(report),
          },
          stop: (reason: string) => void stops.push(reason),
          isRunning: () => isRunning,
          async running(signal) {
            await eventually(() => isRunning || signal.aborted);
            if (!signal.aborted) waits += 1;
            return !signal.aborted;
          },
        },
      );
      return { result, claimed: () => claimed };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test("replayMessage() delivers the letter as its message was delivered, and tells so", async () => {
  await using own = await setUp(() => 200);
  expect(await own.replay().result).toEqual({ kind: "delivered" });
  const [request] = own.receiver.requests;
  if (request === undefined) throw new Error("There was no request");
  expect(request.body.toString()).toBe("letter");
  expect(headerOf(request, "webhook-id")).toBe("msg_ORDERS_7_rs");
  expect(headerOf(request, "X-Tenant")).toBe("a");
  expect(own.endings).toMatchObject([{ attempts: 1, ending: { kind: "delivered" } }]);
  expect(own.turns.taken).toBe(0);
});

test.each([
  ["a rejection at once", [404], 1, "rejected"],
  ["a server error after its retries", [503, 503, 503, 503], 4, "server-error"],
] as const)("replayMessage() fails on %s, and interrupts nothing", async (_, statuses, attempts, kind) => {
  await using own = await setUp((_request, index) => statuses[index] ?? 200, { retry: RETRY });
  expect(await own.replay().result).toMatchObject({ kind: "failed", failure: { kind }, attempts });
  expect(own.attempts.map(({ attempt }) => attempt)).toEqual(
    Array.from({ length: attempts }, (_value, index) => index + 1),
  );
  expect(own.attempts.at(-1)?.action.kind).toBe("dead-letter");
  expect(own.endings).toMatchObject([
    { attempts, ending: { kind: "failed-again", letter: { endpoint: "letters" } } },
  ]);
});

test("replayMessage() claims the letter before each attempt, and leaves what is gone", async () => {
  await using own = await setUp(() => 503, { retry: RETRY });
  const { result, claimed } = own.replay(["claimed", "unavailable", "gone"]);
  expect(await result).toEqual({ kind: "gone" });
  expect(claimed()).toBe(3);
  expect(own.receiver.requests).toHaveLength(1);
  expect(own.turns.taken).toBe(0);
});

test("replayMessage() sends nothing until the subscription runs, and stops waiting when it is told to", async () => {
  await using own = await setUp(() => 200);
  own.setRunning(false);
  const stopped = own.replay();
  own.waiting.abort();
  expect(await stopped.result).toEqual({ kind: "stopped" });
  expect([stopped.claimed(), own.receiver.requests.length]).toEqual([0, 0]);
});

test("replayMessage() gives its turn back when the subscription was paused meanwhile", async () => {
  await using own = await setUp(() => 200, { qos: "AT_LEAST_ONCE" });
  await own.turns.begin(own.waiting.signal);
  const { result, claimed } = own.replay();
  await eventually(() => own.waits() === 1);
  own.setRunning(false);
  own.turns.end(null);
  await eventually(() => own.turns.taken === 0);
  expect([claimed(), own.receiver.requests.length]).toEqual([0, 0]);
  own.setRunning(true);
  expect(await result).toEqual({ kind: "delivered" });
});

test("replayMessage() is stopped in its request by ending, and the letter is as it was", async () => {
  await using own = await setUp(() => null);
  const { result } = own.replay();
  await eventually(() => own.receiver.requests.length === 1);
  own.ending.abort();
  expect(await result).toEqual({ kind: "stopped" });
  expect(own.endings).toEqual([]);
});

test("replayMessage() under AT_MOST_ONCE claims only what can be sent, and sends it once", async () => {
  const once = { qos: "AT_MOST_ONCE", retry: RETRY } as const;
  await using down = await setUp(() => 200, {
    ...once,
    retry: { kind: "none" },
    callback: toCallbackSettings(new URL(`http://127.0.0.1:${await freePort()}/`)),
  });
  const unsent = down.replay();
  expect(await unsent.result).toMatchObject({ kind: "failed", failure: { kind: "exception" } });
  expect(unsent.claimed()).toBe(0);
  await using up = await setUp(() => 503, once);
  const sent = up.replay();
  expect(await sent.result).toMatchObject({ kind: "failed", attempts: 1 });
  expect([sent.claimed(), up.receiver.requests.length]).toEqual([1, 1]);
});

test.each(["AT_LEAST_ONCE", "AT_MOST_ONCE"] as const)(
  "replayMessage() under %s waits for file descriptors, without a failed attempt and marked once",
  async (qos) => {
    let missing = 2;
    const withoutDescriptors: Exception = { kind: "exception", code: "descriptors", error: "none left" };
    const watch = (callback: Callback): Callback => ({
      ...callback,
      async send(message, options) {
        const exchange = await callback.send(
          message,
          missing > 0 ? { ...options, signal: ABORTED } : options,
        );
        missing -= 1;
        return missing < 0 ? exchange : { ...exchange, outcome: withoutDescriptors, aborted: false };
      },
    });
    await using own = await setUp(() => 200, { qos }, watch);
    const replay = own.replay(["claimed", qos === "AT_MOST_ONCE" ? "gone" : "claimed"]);
    expect(await replay.result).toEqual({ kind: "delivered" });
    expect(own.receiver.requests).toHaveLength(1);
    expect(own.attempts.map(({ attempt }) => attempt)).toEqual([1]);
    expect(own.postponed).toHaveLength(2);
  },
);

test("replayMessage() that fails for good holds the subscription for as long as Retry-After asks", async () => {
  const headers = { "retry-after": "3600" };
  await using own = await setUp(() => ({ status: 503, headers }));
  expect(await own.replay().result).toMatchObject({ kind: "failed", attempts: 1 });
  expect(own.turns.holdMs).toBeWithin(59_000, 60_001);
});

test("createTurns() gives live and replayed messages one turn each", async () => {
  const { signal } = new AbortController();
  const turns = createTurns(1);
  expect(await turns.begin(signal)).toBe(true);
  const order: string[] = [];
  const waits = (["live", "live", "live", "replay", "replay"] as const).map(async (line) => {
    await turns.begin(signal, line);
    order.push(line);
    turns.end(null);
  });
  turns.end(null);
  await Promise.all(waits);
  expect(order).toEqual(["replay", "live", "replay", "live", "live"]);
});

test("createTurns() tells a hold when it begins, and not when it is prolonged", () => {
  const told: number[] = [];
  const turns = createTurns(1, { onHold: (holdMs) => told.push(holdMs) });
  turns.hold(0);
  turns.hold(60_000);
  turns.hold(90_000);
  turns.hold(30_000);
  expect(turns.holdMs).toBeWithin(89_000, 90_001);
  turns.wake();
  expect(turns.holdMs).toBe(0);
  turns.hold(5000);
  expect(told).toEqual([60_000, 5000]);
});

test("createTurns() begins nothing during a hold, in neither line", async () => {
  const { signal } = new AbortController();
  const turns = createTurns(2);
  const since = performance.now();
  turns.hold(100);
  await Promise.all([turns.begin(signal), turns.begin(signal, "replay")]);
  expect(performance.now() - since).toBeGreaterThanOrEqual(99);
  turns.end(null);
  turns.hold(60_000);
  expect(await turns.begin(AbortSignal.timeout(20))).toBe(false);
});

test("replayMessage() shapes the stored message anew", async () => {
  await using setup = await setUp(() => 200, {
    shape: { ...UNSHAPED, path: '["again", attempt]', method: '"PUT"' },
  });
  expect(await setup.replay().result).toEqual({ kind: "delivered" });
  expect(setup.receiver.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "PUT /callback/again/1",
  ]);
});

test.each<[string, Partial<Subscription>, ReplayResult]>([
  ["does not want it", { shape: { ...UNSHAPED, filter: "false" } }, { kind: "filtered" }],
  [
    "fails in its filter",
    { shape: { ...UNSHAPED, filter: "$error('no')" } },
    { kind: "failed", attempts: 1, failure: { kind: "expression", error: "filter: no (at character 7)" } },
  ],
  [
    "fails in its transform",
    { shape: { ...UNSHAPED, body: "$error('no')" } },
    { kind: "failed", attempts: 1, failure: { kind: "expression", error: "body: no (at character 7)" } },
  ],
])("replayMessage() of a subscription that %s claims and sends nothing", async (_what, changes, expected) => {
  await using setup = await setUp(() => 200, { ...changes, retry: RETRY });
  const { result, claimed } = setup.replay();
  expect(await result).toEqual(expected);
  expect([claimed(), setup.receiver.requests.length, setup.turns.taken]).toEqual([0, 0, 0]);
});
