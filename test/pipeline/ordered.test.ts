// An ordered pipeline sends from its window: in order, by key, and only while it holds all that the server has given out.

import { expect, test } from "bun:test";
import type { Message } from "#delivery/message.ts";
import type { Ordering, OrderKey } from "#delivery/ordering.ts";
import type { Qos } from "#delivery/policy.ts";
import { concurrencyOf } from "#delivery/subscription.ts";
import type { Settled } from "#pipeline/observer.ts";
import { createPipeline, type PumpHandlers } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import type { ConsumerCount } from "#pipeline/window.ts";
import { createRecordingLogger } from "../support/nats.ts";
import {
  BROKEN,
  closePipelines,
  createMemoryGuard,
  OK,
  runReady,
  scriptCallback,
  scriptPump,
  type ScriptedPump,
  toReceived,
  turnClock,
} from "../support/scripted-parts.ts";
import { toCallbackSettings, toSubscription } from "../support/subscription.ts";

const willClose = closePipelines();

const RETRY = { kind: "linear", maxAttempts: 3, initialDelayMs: 1000, maxDelayMs: 1000 } as const;

interface Wanted {
  readonly qos?: Qos;
  readonly key?: OrderKey;
  readonly ordering?: Partial<Ordering>;
  readonly isProbe?: boolean;
  readonly places?: number;
  /** What the server says is out. */
  readonly count?: ConsumerCount;
}

function setUp({ qos = "AT_LEAST_ONCE", key = { kind: "none" }, places = 3, ...wanted }: Wanted = {}) {
  const callback = scriptCallback();
  const answers: string[] = [];
  const endings: string[] = [];
  const told: string[] = [];
  /** What had been sent when an attempt was reported. */
  const sentByReport: (readonly number[])[] = [];
  const subscription = toSubscription({
    qos,
    ordering: { key, onFailure: "subscription", window: 8, ...wanted.ordering },
    retry: RETRY,
    callback: toCallbackSettings(new URL("http://127.0.0.1/"), { maxConcurrentConnections: places }),
  });
  const terms = createTerms(subscription, { openCallback: () => callback, hasDeadLetters: false });
  const server = { count: wanted.count ?? { consumerSequence: 0, ackPending: 0 } };
  const pipeline = createPipeline({
    terms,
    turns: createTurns(concurrencyOf(subscription)),
    guard: createMemoryGuard(),
    isSkipped: () => false,
    deadLetters: null,
    lastPongAt: () => performance.now(),
    countConsumer: () => Promise.resolve(server.count),
    isProbe: wanted.isProbe ?? false,
    observer: {
      attempted: () => void sentByReport.push(callback.sequences()),
      settled: ({ message, ending }: Settled) => void endings.push(`${message.sequence} ${ending.kind}`),
      postponed: () => {},
    },
    logger: createRecordingLogger(),
    onInterrupted: ({ message }) => void told.push(`interrupted by ${message?.sequence}`),
    onExpired: () => void told.push("expired"),
    onRecovered: () => void told.push("recovered"),
  });
  willClose(pipeline);
  let handlers: PumpHandlers | null = null;
  let pump: ScriptedPump | null = null;
  pipeline.pull((given) => {
    handlers = given;
    return (pump = scriptPump(given, { answers }));
  });
  let delivered = server.count.consumerSequence;
  /** `skips`: so many have gone to others before it. */
  const deliver = (
    sequence: number,
    { skips = 0, ...changes }: Partial<Message> & { skips?: number } = {},
  ) => {
    delivered += 1 + skips;
    const received = toReceived(sequence, { answers, changes });
    (handlers as unknown as PumpHandlers).onMessage({ ...received, consumerSequence: delivered });
  };
  return {
    callback,
    answers,
    endings,
    told,
    sentByReport,
    pipeline,
    server,
    deliver,
    pump: pump as unknown as ScriptedPump,
  };
}

/** Of a server that had given out nothing. */
async function setUpCurrent(wanted: Wanted = {}) {
  const own = setUp(wanted);
  await runReady();
  return own;
}

test("in strict order one is sent at a time, the lowest first", async () => {
  const own = await setUpCurrent();
  for (const sequence of [1, 2, 3]) own.deliver(sequence);
  await runReady();
  expect(own.callback.sequences()).toEqual([1]);
  own.callback.answer(OK);
  await runReady();
  expect([own.callback.sequences(), own.answers]).toEqual([[1, 2], ["ack 1"]]);
  expect(own.pipeline.stats()).toMatchObject({ held: 2, inFlight: 1, gathering: null });
});

test("the next one is sent before the one that was delivered is reported", async () => {
  const own = await setUpCurrent();
  own.deliver(1);
  own.deliver(2);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  expect(own.sentByReport).toEqual([
    [1, 2],
    [1, 2],
  ]);
  expect(own.endings).toEqual(["1 delivered", "2 delivered"]);
});

test("in strict order a message that waits for its retry holds back all others", async () => {
  const own = await setUpCurrent();
  own.deliver(1);
  own.deliver(2);
  await runReady();
  own.callback.answer(BROKEN);
  await turnClock(900);
  expect([own.callback.sequences(), own.pipeline.stats().retrying]).toEqual([[1], 1]);
  await turnClock(200);
  own.callback.answer(OK);
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 1, 2]);
});

test("by key different keys are sent at the same time, and a retry holds only its own", async () => {
  const own = await setUpCurrent({ key: { kind: "subject" }, places: 2 });
  for (const [sequence, subject] of [
    [1, "a"],
    [2, "a"],
    [3, "b"],
    [4, "c"],
  ] as const)
    own.deliver(sequence, { subject });
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 3]);
  own.callback.sends[0]?.answer(BROKEN);
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 3, 4]);
  own.callback.sends[1]?.answer(OK);
  await turnClock(1100);
  expect(own.callback.sequences()).toEqual([1, 3, 4, 1]);
});

test("nothing is sent until all that is out has come, and come again after it was asked back", async () => {
  const own = setUp({ count: { consumerSequence: 7, ackPending: 2 } });
  await runReady();
  own.deliver(5, { deliveryCount: 2 });
  own.deliver(4, { deliveryCount: 2 });
  own.server.count = { consumerSequence: 9, ackPending: 2 };
  await turnClock(100);
  expect([own.callback.sequences(), own.answers]).toEqual([[], ["nak 5", "nak 4"]]);
  own.deliver(5, { deliveryCount: 3 });
  own.deliver(4, { deliveryCount: 3 });
  await runReady();
  expect(own.callback.sequences()).toEqual([4]);
});

test("a gap ends it: what was held is sent once nobody else can have the rest", async () => {
  const own = await setUpCurrent();
  own.deliver(1);
  own.deliver(3, { skips: 1 });
  own.deliver(4);
  own.server.count = { consumerSequence: 4, ackPending: 4 };
  await runReady();
  own.callback.answer(OK);
  await turnClock(2500);
  expect(own.callback.sequences()).toEqual([1]);
  expect(own.pipeline.stats().gathering).toMatch(/^\d messages? (?:is|are) still held by another relay/);
});

test("after a lost connection nothing is sent before the server was asked", async () => {
  const own = await setUpCurrent();
  own.deliver(1);
  own.deliver(2);
  own.server.count = { consumerSequence: 2, ackPending: 2 };
  await runReady();
  own.pipeline.regather();
  own.callback.answer(OK);
  await runReady();
  expect(own.callback.sequences()).toEqual([1]);
  own.server.count = { consumerSequence: 2, ackPending: 1 };
  await turnClock(200);
  expect(own.answers).toContain("nak 2");
  own.deliver(2, { deliveryCount: 2 });
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 2]);
});

test("close() gives back what is queued, and lets end what is in flight", async () => {
  const own = await setUpCurrent();
  for (const sequence of [1, 2, 3]) own.deliver(sequence);
  await runReady();
  const closed = own.pipeline.close({ graceMs: null });
  await runReady();
  expect(own.answers).toEqual(["nak 2", "nak 3"]);
  own.callback.answer(OK);
  expect(await closed).toBe(2);
  expect(own.endings.toSorted()).toEqual(["1 delivered", "2 returned", "3 returned"]);
});

test("a probe sends one message until one is delivered, though the window is full", async () => {
  const own = await setUpCurrent({ key: { kind: "subject" }, isProbe: true });
  for (const sequence of [1, 2, 3]) own.deliver(sequence, { subject: `s${sequence}` });
  await runReady();
  own.callback.answer(BROKEN);
  await runReady();
  expect(own.callback.sequences()).toEqual([1]);
  await turnClock(1100);
  own.callback.answer(OK);
  await runReady();
  expect([own.callback.sequences(), own.told]).toEqual([[1, 1, 2, 3], ["recovered"]]);
});

test("a consumer that gives out fewer messages makes a smaller window", async () => {
  const own = await setUpCurrent();
  await own.pipeline.stopPull();
  let usual = 0;
  own.pipeline.pull((given) => {
    usual = given.capacity.usual;
    return scriptPump(given, { answers: [] });
  }, 2);
  expect(usual).toBe(2);
});
