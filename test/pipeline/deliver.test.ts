// One message on its way through scripted attempts: whom a pause holds, and what waits for file descriptors.

import { describe, expect, test } from "bun:test";
import type { Exchange } from "#delivery/exchange.ts";
import type { Callback } from "#callback/client.ts";
import type { Exception, Outcome } from "#delivery/outcome.ts";
import type { Qos } from "#delivery/policy.ts";
import { type RequestParts, UNSHAPED } from "#delivery/shape.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { toTraceHeaders, type Trace, type TraceHeaders } from "#delivery/trace.ts";
import type { DeadLetters } from "#letters/store.ts";
import { createClosing } from "#pipeline/closing.ts";
import { createDeliver } from "#pipeline/deliver.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Held } from "#pipeline/settle.ts";
import type { Action } from "#delivery/policy.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { toMessage } from "../callback/setup.ts";
import { eventually } from "../support/eventually.ts";
import { toSubscription } from "../support/subscription.ts";

const OK: Outcome = { kind: "delivered", status: 200 };
const NONE_LEFT: Exception = { kind: "exception", code: "descriptors", error: "no file descriptor left" };
const TOKEN_REFUSED: Exception = { kind: "exception", code: "token", error: "no", retryAfterMs: 3_600_000 };
const ALL_QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const;

interface Script {
  readonly trace?: Trace;
  readonly qos?: Qos;
  readonly hasDeadLetters?: boolean;
  readonly changes?: Partial<Subscription>;
  /** Of each `send` in turn, the last one again and again. */
  readonly outcomes?: readonly Outcome[];
  /** Of each `prepare` in turn, then null. */
  readonly preparations?: readonly Exception[];
  /** What each writing of the journal fails with, in turn, then nothing. */
  readonly journal?: readonly Error[];
}

function setUp({ qos = "AUTO", hasDeadLetters = false, outcomes = [OK], changes = {}, ...script }: Script) {
  const subscription = toSubscription({ qos, ...changes });
  const events: string[] = [];
  const actions: Action["kind"][] = [];
  const preparations = [...(script.preparations ?? [])];
  const journal = [...(script.journal ?? [])];
  let sent = 0;
  let sentParts: RequestParts | null = null;
  const traces: (TraceHeaders | null)[] = [];
  const reported: (Trace | null)[] = [];
  const callback = {
    prepare() {
      events.push("prepare");
      return Promise.resolve(preparations.shift() ?? null);
    },
    send(_message: unknown, options: { parts: RequestParts | null; trace: TraceHeaders | null }) {
      events.push("send");
      sentParts = options.parts;
      traces.push(options.trace);
      const outcome = outcomes[Math.min(sent++, outcomes.length - 1)];
      return Promise.resolve({ outcome, sent: outcome !== NONE_LEFT, aborted: false } as Exchange);
    },
    close: () => Promise.resolve(),
  } as unknown as Callback;
  const terms = createTerms(subscription, { openCallback: () => callback, hasDeadLetters });
  const turns = createTurns(1);
  const closing = createClosing();
  const guard = {
    repair: () => Promise.resolve(),
    markDoneDurably() {
      events.push("journal");
      const error = journal.shift();
      return error === undefined ? Promise.resolve() : Promise.reject(error);
    },
  } as unknown as Guard;
  const interrupts: string[] = [];
  let postponed = 0;
  const deliver = createDeliver({
    terms,
    turns,
    guard,
    hasAcks: qos !== "NONE",
    deadLetters: hasDeadLetters ? ({} as DeadLetters) : null,
    settler: {
      complete: () => undefined,
      storeLetter: () => Promise.resolve({ kind: "stored", endpoint: "letters" }),
    },
    observer: {
      attempted({ action, trace }) {
        actions.push(action.kind);
        reported.push(trace);
      },
      settled: () => {},
      postponed: () => void (postponed += 1),
    },
    signals: closing.signals,
    isCurrent: () => true,
    interrupt: (_held, reason) => void interrupts.push(reason),
    giveBack: () => ({ kind: "returned" }),
  });
  const received = {
    message: toMessage(),
    confirmAck() {
      events.push("ack");
      return Promise.resolve(true);
    },
  } as unknown as Held["received"];
  const held: Held = {
    received,
    attempts: 0,
    isRedeliverable: qos !== "NONE",
    mayHaveLetter: false,
    postponements: 0,
    trace: script.trace ?? null,
  };
  return {
    traces,
    reported,
    events,
    actions,
    interrupts,
    turns,
    closing,
    held,
    postponed: () => postponed,
    parts: () => sentParts,
    run: () => deliver.run(held),
  };
}

test.each<[string, Script, string]>([
  ["is dead-lettered", { hasDeadLetters: true, changes: { interruptOnServerError: false } }, "dead-lettered"],
  ["is dropped", { changes: { interruptOnServerError: false } }, "dropped"],
  ["interrupts", {}, "returned"],
])("run() of a message that %s holds the subscription for its Retry-After", async (_what, script, ending) => {
  for (const qos of ALL_QOS) {
    const own = setUp({
      ...script,
      qos,
      outcomes: [{ kind: "server-error", status: 503, retryAfterMs: 3_600_000 }],
    });
    const isLost = qos === "NONE" || qos === "AT_MOST_ONCE";
    expect((await own.run()).kind).toBe((ending === "returned" && isLost ? "lost" : ending) as "lost");
    expect(own.turns.holdMs).toBeWithin(59_000, 60_001);
    expect(own.turns.begin(AbortSignal.timeout(20))).not.toBe(true);
  }
});

test("run() holds the subscription while its token endpoint is to be left alone", async () => {
  const own = setUp({ outcomes: [TOKEN_REFUSED], changes: { interruptOnException: false } });
  expect((await own.run()).kind).toBe("dropped");
  expect(own.turns.holdMs).toBeWithin(3_590_000, 3_600_001);
});

test.each(ALL_QOS)("run() under %s waits for file descriptors as if it had not tried", async (qos) => {
  const own = setUp({ qos, outcomes: [NONE_LEFT, NONE_LEFT, OK] });
  expect(await own.run()).toEqual({ kind: "delivered" });
  expect([own.held.attempts, own.postponed()]).toEqual([1, 2]);
  expect([own.actions, own.interrupts]).toEqual([["ack"], []]);
  expect(own.turns.taken).toBe(0);
});

test("run() under AT_MOST_ONCE without descriptors acknowledges nothing before there is a connection, and once then", async () => {
  const own = setUp({ qos: "AT_MOST_ONCE", preparations: [NONE_LEFT], outcomes: [NONE_LEFT, OK] });
  expect(await own.run()).toEqual({ kind: "delivered" });
  const second = ["prepare", "ack", "journal", "send"];
  expect(own.events).toEqual(["prepare", ...second, "prepare", "journal", "send"]);
});

test("run() under AT_MOST_ONCE sends nothing before the journal has a descriptor", async () => {
  const fault = Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
  const own = setUp({ qos: "AT_MOST_ONCE", journal: [fault] });
  expect(await own.run()).toEqual({ kind: "delivered" });
  expect(own.events).toEqual(["prepare", "ack", "journal", "prepare", "journal", "send"]);
  expect(own.interrupts).toEqual([]);
});

test.each(ALL_QOS)("run() under %s that waits for descriptors ends when the pipeline closes", async (qos) => {
  const own = setUp({ qos, outcomes: [NONE_LEFT] });
  const running = own.run();
  await eventually(() => own.postponed() > 0);
  own.closing.begin();
  own.closing.endAfter(0);
  const isLost = qos === "NONE" || qos === "AT_MOST_ONCE";
  expect((await running).kind).toBe(isLost ? "lost" : "returned");
});

const FAILS = "body.a > {}";

test.each(ALL_QOS)(
  "run() under %s settles a message that its filter does not want, without slot or request",
  async (qos) => {
    const own = setUp({ qos, changes: { shape: { ...UNSHAPED, filter: "body.a > 1" } } });
    const slot = own.turns.begin(own.closing.signals.closing);
    expect(await own.run()).toEqual({ kind: "filtered" });
    expect([slot, own.events, own.actions, own.interrupts]).toEqual([true, [], [], []]);
  },
);

test.each(ALL_QOS)("run() under %s sends what its filter wants", async (qos) => {
  const own = setUp({ qos, changes: { shape: { ...UNSHAPED, filter: "body.a = 1", path: "[body.a]" } } });
  expect(await own.run()).toEqual({ kind: "delivered" });
  expect([own.events.at(-1), own.parts()?.path]).toEqual(["send", "/1"]);
});

describe.each([
  ["filter", { ...UNSHAPED, filter: FAILS }],
  ["transform", { ...UNSHAPED, body: FAILS }],
])("a %s that fails", (_what, shape) => {
  const failure = { kind: "expression", error: expect.stringContaining(">") };

  test.each(ALL_QOS)("makes a dead letter under %s, without a retry", async (qos) => {
    const retry = { kind: "linear", maxAttempts: 3, initialDelayMs: 1, maxDelayMs: 1 } as const;
    const own = setUp({ qos, hasDeadLetters: true, changes: { shape, retry } });
    expect(await own.run()).toEqual({ kind: "dead-lettered", failure, endpoint: "letters" } as never);
    expect([own.events, own.interrupts]).toEqual([[], []]);
  });

  test.each(ALL_QOS)("interrupts under %s where there is no DLQ, and acknowledges nothing", async (qos) => {
    const own = setUp({ qos, changes: { shape } });
    expect((await own.run()).kind).toBe(qos === "NONE" ? "lost" : "returned");
    expect([own.events, own.interrupts.length]).toEqual([[], 1]);
  });
});

test.each(ALL_QOS)(
  "run() under %s sends no message that is older than its maximum age, and interrupts nothing",
  async (qos) => {
    for (const hasDeadLetters of [true, false]) {
      const own = setUp({ qos, hasDeadLetters, changes: { maxAgeMs: 1000 } });
      const ending = await own.run();
      expect(ending).toMatchObject({ kind: "expired", endpoint: hasDeadLetters ? "letters" : null });
      expect([own.events, own.interrupts, own.turns.taken]).toEqual([[], [], 0]);
    }
  },
);

test("run() of a message that became too old while it waited for its retry ends as expired", async () => {
  const ageMs = Date.now() - Number(toMessage().timestampNanos / 1_000_000n);
  const retry = { kind: "linear", maxAttempts: 9, initialDelayMs: 400, maxDelayMs: 400 } as const;
  const outcomes: Outcome[] = [{ kind: "server-error", status: 500, retryAfterMs: null }];
  const own = setUp({ outcomes, changes: { retry, maxAgeMs: ageMs + 300 } });
  expect(await own.run()).toMatchObject({ kind: "expired" });
  expect([own.events, own.actions, own.turns.taken]).toEqual([["send"], ["retry"], 0]);
});

test.each(ALL_QOS)(
  "run() under %s carries the trace to each request, an attempt with its own span",
  async (qos) => {
    const trace: Trace = {
      kind: "sampled",
      traceId: "12345678901234567890123456789012",
      spanId: "1234567890123456",
      parentId: null,
      flags: 0,
      tracestate: null,
      receivedAtMs: 0,
      receivedMs: 0,
    };
    const retry = { kind: "linear", maxAttempts: 1, initialDelayMs: 1, maxDelayMs: 1 } as const;
    const broken: Outcome = { kind: "server-error", status: 500, retryAfterMs: null };
    const own = setUp({ qos, trace, outcomes: [NONE_LEFT, broken, OK], changes: { retry } });
    await own.run();
    const attempts = qos === "AT_MOST_ONCE" ? [1, 1] : [1, 1, 2];
    expect(own.traces).toEqual(attempts.map((attempt) => toTraceHeaders(trace, attempt)));
    expect(new Set(own.reported)).toEqual(new Set([trace]));
  },
);
