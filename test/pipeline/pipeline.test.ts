// Each transition of the pipeline: from being received to being settled, and its end, beside callbacks and dead-letter endpoints
// that answer when the test says so, or never.

import { expect, jest, test } from "bun:test";
import type { Message } from "#delivery/message.ts";
import type { Qos } from "#delivery/policy.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Settled } from "#pipeline/observer.ts";
import { createPipeline } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { createRecordingLogger } from "../support/nats.ts";
import {
  BROKEN,
  closePipelines,
  createMemoryGuard,
  NO_ANSWER,
  OK,
  REFUSED,
  runReady,
  scriptCallback,
  scriptLetters,
  scriptPump,
  type ScriptedPump,
  STORED,
  turnClock,
} from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";

const willClose = closePipelines();

const RETRY = { kind: "linear", maxAttempts: 3, initialDelayMs: 1000, maxDelayMs: 1000 } as const;
const ALL_QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const;

interface Wanted {
  readonly qos?: Qos;
  readonly changes?: Partial<Subscription>;
  readonly places?: number;
  readonly hasLetters?: boolean;
  readonly isProbe?: boolean;
  readonly guard?: Partial<Guard>;
  readonly isSkipped?: (message: Message) => boolean;
}

function setUp({ qos = "AUTO", places = 5, hasLetters = false, isProbe = false, ...wanted }: Wanted = {}) {
  const callback = scriptCallback();
  const letters = scriptLetters();
  const guard = createMemoryGuard(wanted.guard);
  const answers: string[] = [];
  const endings: string[] = [];
  const told: string[] = [];
  const terms = createTerms(toSubscription({ qos, ...wanted.changes }), {
    openCallback: () => callback,
    hasDeadLetters: hasLetters,
  });
  const contact = { at: Number.POSITIVE_INFINITY };
  const pipeline = createPipeline({
    terms,
    turns: createTurns(places),
    guard,
    isSkipped: wanted.isSkipped ?? (() => false),
    deadLetters: hasLetters ? letters : null,
    lastPongAt: () => contact.at,
    countConsumer: null,
    isProbe,
    observer: {
      attempted: () => {},
      settled: ({ message, ending }: Settled) => void endings.push(`${message.sequence} ${ending.kind}`),
      postponed: () => {},
    },
    logger: createRecordingLogger(),
    onInterrupted: ({ message, text }) => void told.push(`interrupted by ${message?.sequence}: ${text}`),
    onExpired: () => void told.push("expired"),
    onRecovered: () => void told.push("recovered"),
  });
  willClose(pipeline);
  const pull = () => {
    let pump: ScriptedPump | null = null;
    pipeline.pull((handlers) => (pump = scriptPump(handlers, { answers })));
    return pump as unknown as ScriptedPump;
  };
  /** How a close ends, once it has. */
  const close = (options: Parameters<typeof pipeline.close>[0]) => {
    const closed = { returned: null as number | null };
    void pipeline.close(options).then((returned) => (closed.returned = returned));
    return closed;
  };
  return { callback, letters, guard, answers, endings, told, contact, pipeline, pump: pull(), pull, close };
}

test.each<[string, Wanted, Partial<Message>]>([
  ["marker", {}, { headers: [["Nats-Marker-Reason", "MaxAge"]] }],
  ["suppressed", { guard: { isDone: () => true } }, {}],
  ["skipped", { isSkipped: () => true }, {}],
])(
  "a message that is %s is acknowledged without a request, and held no more",
  async (kind, wanted, message) => {
    const own = setUp(wanted);
    own.pump.deliver(1, message);
    await runReady();
    expect([own.answers, own.endings]).toEqual([["ack 1"], [`1 ${kind}`]]);
    expect(own.callback.sends).toEqual([]);
    expect([own.pump.released, own.pipeline.stats().held]).toEqual([1, 0]);
    expect(own.guard.done).toEqual(kind === "skipped" ? [1] : []);
  },
);

test("a message waits for a slot, and is acknowledged once it is delivered", async () => {
  const own = setUp({ places: 1 });
  own.pump.deliver(1);
  own.pump.deliver(2);
  await runReady();
  expect(own.callback.sequences()).toEqual([1]);
  expect(own.pipeline.stats()).toMatchObject({ held: 2, inFlight: 1, retrying: 0 });
  own.callback.answer(OK);
  await runReady();
  expect([own.answers, own.callback.sequences()]).toEqual([["ack 1"], [1, 2]]);
  expect(own.pump.released).toBe(1);
});

test("a message that waits for its retry holds no slot", async () => {
  const own = setUp({ places: 1, changes: { retry: RETRY } });
  own.pump.deliver(1);
  own.pump.deliver(2);
  await runReady();
  own.callback.answer(BROKEN);
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 2]);
  const { nextRetryAt, ...stats } = own.pipeline.stats();
  expect(stats).toMatchObject({ held: 2, inFlight: 1, retrying: 1 });
  expect((nextRetryAt ?? 0) - performance.now()).toBeWithin(1, 1201);
  own.callback.answer(OK);
  await turnClock(1200);
  expect(own.callback.sequences()).toEqual([1, 2, 1]);
  own.callback.answer(OK);
  await runReady();
  expect(own.endings).toEqual(["2 delivered", "1 delivered"]);
  expect(own.pipeline.stats()).toMatchObject({ held: 0, inFlight: 0, retrying: 0, oldestHeldAt: null });
});

test("of a message that comes again while it is held, the newer delivery is answered, once", async () => {
  const own = setUp();
  own.pump.deliver(1);
  own.pump.deliver(1, { deliveryCount: 2 });
  await runReady();
  expect([own.callback.sequences(), own.pump.released]).toEqual([[1], 1]);
  own.callback.answer(OK);
  await runReady();
  expect([own.answers, own.endings]).toEqual([["ack 1"], ["1 delivered"]]);
});

test("a message of a stream made anew under the same sequence is another one: the old one is answered no more", async () => {
  const own = setUp();
  own.pump.deliver(1);
  own.pump.deliver(1, { timestampNanos: 999n });
  await runReady();
  expect(own.callback.sequences()).toEqual([1, 1]);
  own.callback.answer(OK);
  await runReady();
  expect(own.answers).toEqual([]);
  own.callback.answer(OK);
  await runReady();
  expect([own.answers, own.endings]).toEqual([["ack 1"], ["1 delivered", "1 delivered"]]);
});

test("an interrupt closes the pipeline: the cause goes back first, and what is in flight ends and is settled", async () => {
  const own = setUp({ places: 2 });
  for (const sequence of [1, 2, 3, 4]) own.pump.deliver(sequence);
  await runReady();
  own.callback.sends[1]?.answer(BROKEN);
  await runReady();
  expect(own.told).toEqual([expect.stringMatching(/^interrupted by 2: /)]);
  const closed = own.close({ graceMs: null });
  await runReady();
  expect(own.answers).toEqual(["nak 2", "nak 3", "nak 4"]);
  expect([own.pump.isStopped, closed.returned]).toEqual([true, null]);
  own.callback.answer(OK);
  await runReady();
  expect(own.answers.at(-1)).toBe("ack 1");
  expect(closed.returned).toBe(3);
  expect(own.callback.sequences()).toEqual([1, 2]);
  expect(own.told).toHaveLength(1);
});

test("a bug interrupts the pipeline, and the message goes back", async () => {
  const own = setUp({
    guard: {
      markDone() {
        throw new Error("no memory");
      },
    },
  });
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  expect(own.told).toEqual([expect.stringContaining("no memory")]);
  expect(own.close({ graceMs: null })).toBeDefined();
  await runReady();
  expect(own.endings).toEqual(["1 returned"]);
});

test("close() gives a callback that hangs its grace, then aborts it, and its message goes back", async () => {
  const own = setUp();
  own.pump.deliver(1);
  await runReady();
  const closed = own.close({ graceMs: 5000 });
  await turnClock(4900);
  expect([closed.returned, own.answers]).toEqual([null, []]);
  await turnClock(200);
  expect([closed.returned, own.answers, own.endings]).toEqual([1, ["nak 1"], ["1 returned"]]);
  expect(jest.getTimerCount()).toBe(0);
});

test("close() called again shortens the grace, and never lengthens it", async () => {
  const own = setUp();
  own.pump.deliver(1);
  await runReady();
  const first = own.close({ graceMs: null });
  const second = own.close({ graceMs: 1000 });
  const third = own.close({ graceMs: 60_000 });
  await turnClock(1100);
  expect([first.returned, second.returned, third.returned]).toEqual([1, 1, 1]);
  expect(own.answers).toEqual(["nak 1"]);
});

test("close() of a pipeline that has expired gives nothing back, and aborts at once what the stream delivers again", async () => {
  const own = setUp({ places: 1 });
  own.pump.deliver(1);
  own.pump.deliver(2);
  await runReady();
  const closed = own.close({ graceMs: null, isExpired: true });
  await runReady();
  expect([closed.returned, own.answers, own.endings.toSorted()]).toEqual([
    0,
    [],
    ["1 returned", "2 returned"],
  ]);
});

test("a pipeline expires once NATS was silent for two thirds of the ack wait, and begins no attempt then", async () => {
  const own = setUp({ places: 1 });
  own.contact.at = performance.now();
  own.pump.deliver(1);
  own.pump.deliver(2);
  await turnClock(19_000, 500);
  expect(own.told).toEqual([]);
  await turnClock(1500, 500);
  expect(own.told).toEqual(["expired"]);
  own.callback.answer(OK);
  await runReady();
  expect(own.callback.sequences()).toEqual([1]);
  expect(own.endings.toSorted()).toEqual(["1 delivered", "2 returned"]);
});

test("a probe holds one message until one is delivered", async () => {
  const own = setUp({ isProbe: true });
  expect(own.pump.capacities).toEqual([1]);
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(OK);
  await runReady();
  expect(own.told).toEqual(["recovered"]);
  expect(own.pump.capacities.at(-1)).toBeGreaterThan(1);
});

test("a probe that fails interrupts, recovers nothing, and asks for no message more", async () => {
  const own = setUp({ isProbe: true });
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(NO_ANSWER);
  await runReady();
  expect(own.told).toEqual([expect.stringMatching(/^interrupted by 1/)]);
  expect([own.pump.capacities, own.pump.released]).toEqual([[1], 0]);
});

test("under AT_MOST_ONCE a dead letter that waits for its endpoint holds back the next message", async () => {
  const own = setUp({ qos: "AT_MOST_ONCE", hasLetters: true, changes: { interruptOnServerError: false } });
  own.pump.deliver(1);
  own.pump.deliver(2);
  await runReady();
  own.callback.answer(BROKEN);
  await turnClock(60_000, 1000);
  expect([own.callback.sequences(), own.answers]).toEqual([[1], ["confirm 1"]]);
  // Its connection is opened meanwhile.
  expect(own.callback.prepares).toBe(2);
  own.letters.answer(STORED);
  await runReady();
  expect([own.callback.sequences(), own.endings]).toEqual([[1, 2], ["1 dead-lettered"]]);
});

test("under NONE nothing more is pulled while no endpoint takes dead letters", async () => {
  const own = setUp({ qos: "NONE", hasLetters: true });
  own.letters.answerAll({ kind: "unavailable", reason: "stream DLQ is full" });
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(REFUSED);
  await runReady();
  expect(own.pipeline.stats().blocked).toBe("stream DLQ is full");
  expect(own.pump.capacities.at(-1)).toBe(0);
  own.letters.answerAll(STORED);
  await turnClock(500);
  expect(own.pipeline.stats().blocked).toBeNull();
  expect(own.pump.capacities.at(-1)).toBeGreaterThan(0);
  expect(own.endings).toEqual(["1 dead-lettered"]);
});

test.each(ALL_QOS)(
  "under %s a dead-letter endpoint that never answers does not keep the pipeline from closing",
  async (qos) => {
    const own = setUp({ qos, hasLetters: true });
    own.pump.deliver(1);
    await runReady();
    own.callback.answer(REFUSED);
    await runReady();
    expect(own.letters.tries).toHaveLength(1);
    const closed = own.close({ graceMs: 1000 });
    // What nothing would deliver again has more time for its letter.
    const isKept = qos === "NONE" || qos === "AT_MOST_ONCE";
    await turnClock(isKept ? 3900 : 900);
    expect(closed.returned).toBeNull();
    await turnClock(200);
    expect(closed.returned).toBe(isKept ? 0 : 1);
    expect(own.endings).toEqual([isKept ? "1 lost" : "1 returned"]);
    expect(own.answers.filter((answer) => answer === "nak 1")).toHaveLength(isKept ? 0 : 1);
    expect(jest.getTimerCount()).toBe(0);
  },
);

test.each(ALL_QOS)(
  "under %s what waits for its retry when the pipeline closes waits no longer",
  async (qos) => {
    const own = setUp({ qos, hasLetters: true, changes: { retry: RETRY } });
    own.letters.answerAll(STORED);
    own.pump.deliver(1);
    await runReady();
    own.callback.answer(BROKEN, { sent: false });
    await runReady();
    if (qos === "AT_MOST_ONCE") {
      // It was acknowledged: it is not tried again, whatever is configured.
      expect(own.pipeline.stats()).toMatchObject({ held: 0, retrying: 0 });
      return;
    }
    expect(own.pipeline.stats()).toMatchObject({ held: 1, retrying: 1 });
    const closed = own.close({ graceMs: 60_000 });
    await runReady();
    expect(own.endings).toEqual([qos === "NONE" ? "1 dead-lettered" : "1 returned"]);
    expect(closed.returned).toBe(qos === "NONE" ? 0 : 1);
  },
);

test("a letter that is too large for every endpoint interrupts, and its message is never acknowledged", async () => {
  const own = setUp({ hasLetters: true });
  own.letters.answerAll({ kind: "too-large", reason: "2 MB" });
  own.pump.deliver(1);
  await runReady();
  own.callback.answer(REFUSED);
  await runReady();
  expect(own.told).toEqual([expect.stringContaining("2 MB")]);
  own.close({ graceMs: null });
  await runReady();
  expect(own.answers).toEqual(["nak 1"]);
});

test("what a lost pump delivered stays held, and is released to the one that pulls now", async () => {
  const own = setUp();
  own.pump.deliver(1);
  await runReady();
  expect(own.pull).toThrow("A pump is already running");
  await own.pipeline.stopPull();
  const next = own.pull();
  expect([own.pump.isStopped, next.handlers.held]).toEqual([true, 1]);
  own.callback.answer(OK);
  await runReady();
  expect([own.pump.released, next.released]).toEqual([0, 1]);
});

test("pull() throws once the pipeline closes", async () => {
  const own = setUp();
  const closed = own.close({ graceMs: 0 });
  await runReady();
  expect(closed.returned).toBe(0);
  expect(own.pull).toThrow("The pipeline is closing");
});
