// What one attempt comes to: each outcome, each step of AT_MOST_ONCE that may fail, and callbacks that hang when the pipeline closes.

import { expect, test } from "bun:test";
import type { Exception, Outcome } from "#delivery/outcome.ts";
import type { Qos } from "#delivery/policy.ts";
import { attempt, isPostponing, postponementMs } from "#pipeline/attempt.ts";
import { createClosing } from "#pipeline/closing.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Held } from "#pipeline/settle.ts";
import { createTerms } from "#pipeline/terms.ts";
import {
  BROKEN,
  createMemoryGuard,
  NO_ANSWER,
  NO_DESCRIPTOR,
  OK,
  REFUSED,
  runReady,
  scriptCallback,
  toReceived,
} from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";

const ALL_QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const;
const DISK_FULL = Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
const NO_FILE = Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });

interface Wanted {
  readonly qos: Qos;
  readonly prepare?: () => Promise<Exception | null>;
  readonly confirm?: boolean;
  readonly guard?: Partial<Guard>;
  /** Where the answers to the server are written down. */
  readonly answers?: string[];
}

function begin({ qos, prepare, confirm = true, guard = {}, answers = [] }: Wanted) {
  const callback = scriptCallback(prepare === undefined ? {} : { prepare });
  const terms = createTerms(toSubscription({ qos }), { openCallback: () => callback, hasDeadLetters: false });
  const closing = createClosing();
  const received = toReceived(1, { answers, confirm });
  const held: Held = {
    received,
    attempts: 0,
    isRedeliverable: qos !== "NONE",
    mayHaveLetter: false,
    postponements: 0,
    trace: null,
  };
  const memory = createMemoryGuard(guard);
  const result = attempt(held, terms.current, { guard: memory, signals: closing.signals });
  return { callback, closing, answers, held, result, done: memory.done };
}

function reject(error: Error): () => Promise<never> {
  return async () => {
    throw error;
  };
}

test.each<[string, Outcome]>([
  ["a delivery", OK],
  ["a rejection", REFUSED],
  ["a server error", BROKEN],
  ["a silence", NO_ANSWER],
  ["a wish to be left alone", { kind: "rejected", status: 429, retryAfterMs: 1000 }],
])("%s is an attempt that was made", async (_what, outcome) => {
  for (const qos of ALL_QOS) {
    const own = begin({ qos });
    await runReady();
    expect(own.callback.sends.map(({ mayResend }) => mayResend)).toEqual([qos !== "AT_MOST_ONCE"]);
    own.callback.answer(outcome);
    expect(await own.result).toMatchObject({ kind: "made", exchange: { outcome } });
    expect(own.held.attempts).toBe(0);
  }
});

test.each(ALL_QOS)("under %s an attempt without a file descriptor is postponed", async (qos) => {
  const own = begin({ qos });
  await runReady();
  own.callback.answer(NO_DESCRIPTOR, { sent: false });
  expect(await own.result).toEqual({ kind: "postponed", exception: NO_DESCRIPTOR });
});

test("under AT_MOST_ONCE one that was sent is made, whatever became of it", async () => {
  const own = begin({ qos: "AT_MOST_ONCE" });
  await runReady();
  own.callback.answer(NO_DESCRIPTOR, { sent: true });
  expect(await own.result).toMatchObject({ kind: "made", exchange: { sent: true } });
});

test.each(["AUTO", "AT_LEAST_ONCE"] as const)(
  "under %s a request to a callback that hangs is aborted, and was not made: the stream delivers it again",
  async (qos) => {
    const own = begin({ qos });
    await runReady();
    own.closing.disown();
    expect(await own.result).toEqual({ kind: "not-made" });
  },
);

test.each(["NONE", "AT_MOST_ONCE"] as const)(
  "under %s a request that nothing would repeat goes on when others may hold the rest, and ends with the grace",
  async (qos) => {
    const own = begin({ qos });
    await runReady();
    own.closing.disown();
    await runReady();
    expect(own.callback.sends.map(({ isOver }) => isOver)).toEqual([false]);
    own.closing.endAfter(0);
    expect(await own.result).toMatchObject({ kind: "made", exchange: { aborted: true } });
  },
);

test("under AT_MOST_ONCE the order is: connection, acknowledgement, journal, request", async () => {
  const steps: string[] = [];
  const own = begin({
    qos: "AT_MOST_ONCE",
    answers: steps,
    prepare: () => Promise.resolve((steps.push("connect"), null)),
    guard: { markDoneDurably: () => Promise.resolve(void steps.push("journal")) },
  });
  await runReady();
  expect([steps, own.callback.sequences()]).toEqual([["connect", "confirm 1", "journal"], [1]]);
  expect(own.held.isRedeliverable).toBe(false);
  own.callback.answer(OK);
  await own.result;
});

test.each<[string, Partial<Wanted>, object, boolean]>([
  ["cannot connect", { prepare: () => Promise.resolve(NO_ANSWER) }, { kind: "made" }, true],
  [
    "has no descriptor to connect",
    { prepare: () => Promise.resolve(NO_DESCRIPTOR) },
    { kind: "postponed" },
    true,
  ],
  ["finds its journal broken", { guard: { repair: reject(DISK_FULL) } }, { kind: "made" }, true],
  [
    "has no descriptor for a broken journal",
    { guard: { repair: reject(NO_FILE) } },
    { kind: "postponed" },
    true,
  ],
  ["does not know the fate of its acknowledgement", { confirm: false }, { kind: "not-made" }, true],
  [
    "cannot write its journal",
    { guard: { markDoneDurably: reject(DISK_FULL) } },
    { kind: "unrecorded" },
    false,
  ],
  [
    "has no descriptor to write it",
    { guard: { markDoneDurably: reject(NO_FILE) } },
    { kind: "postponed" },
    false,
  ],
])("under AT_MOST_ONCE an attempt that %s sends nothing", async (_what, wanted, result, isRedeliverable) => {
  const own = begin({ qos: "AT_MOST_ONCE", ...wanted });
  expect(await own.result).toMatchObject(result);
  expect([own.callback.sequences(), own.held.isRedeliverable]).toEqual([[], isRedeliverable]);
});

test("under AT_MOST_ONCE what cannot be connected to before the pipeline closes is not acknowledged", async () => {
  const { promise, resolve } = Promise.withResolvers<null>();
  const own = begin({ qos: "AT_MOST_ONCE", prepare: () => promise });
  own.closing.disown();
  resolve(null);
  expect(await own.result).toEqual({ kind: "not-made" });
  expect(own.answers).toEqual([]);
});

test("only what is out of descriptors is postponed, and the longer the more often it was", () => {
  expect([OK, BROKEN, REFUSED, NO_ANSWER, NO_DESCRIPTOR].map(isPostponing)).toEqual([
    false,
    false,
    false,
    false,
    true,
  ]);
  expect(postponementMs(1)).toBeWithin(187, 313);
  expect(postponementMs(20)).toBeWithin(1500, 2501);
});
