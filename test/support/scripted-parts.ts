// What pipelines and subscriptions are made of, as a test says: callbacks and dead-letter endpoints that answer when they are told
// to, or never; pumps that deliver what they are given; a guard in memory; a clock that the test turns.

import { afterEach, beforeEach, expect, jest } from "bun:test";
import type { Exchange } from "#delivery/exchange.ts";
import type { Callback } from "#callback/client.ts";
import type { Pump } from "#consumer/pump.ts";
import type { Received } from "#consumer/received.ts";
import type { DeadLetter } from "#delivery/dead-letter.ts";
import type { Message } from "#delivery/message.ts";
import type { Exception, Outcome } from "#delivery/outcome.ts";
import { createMask } from "#lib/mask.ts";
import type { DeadLetters, StoreResult } from "#letters/store.ts";
import type { Guard } from "#pipeline/guard.ts";
import type { Pipeline, PumpHandlers } from "#pipeline/pipeline.ts";

export const OK: Outcome = { kind: "delivered", status: 200 };
export const BROKEN: Outcome = { kind: "server-error", status: 500, retryAfterMs: null };
export const REFUSED: Outcome = { kind: "rejected", status: 400, retryAfterMs: null };
export const NO_ANSWER: Exception = { kind: "exception", code: "timeout", error: "It took too long" };
export const NO_DESCRIPTOR: Exception = { kind: "exception", code: "descriptors", error: "None is left" };
export const STORED: StoreResult = { kind: "stored", endpoint: "letters" };

export function toExchange(outcome: Outcome, changes: Partial<Exchange> = {}): Exchange {
  return {
    outcome,
    startedAt: new Date(),
    durationMs: 0,
    sent: true,
    aborted: false,
    resends: 0,
    droppedHeaders: 0,
    request: { method: "POST", url: "http://127.0.0.1/", headers: [] },
    response: null,
    mask: createMask([]),
    ...changes,
  };
}

/** Lets run whatever can, without a timer. */
export async function runReady(): Promise<void> {
  for (let i = 0; i < 100; i += 1) await Promise.resolve();
}

/** Turns the fake clock on, in steps: what a timer starts may take its time too. */
export async function turnClock(ms: number, stepMs = 50): Promise<void> {
  await runReady();
  for (let left = ms; left > 0; left -= stepMs) {
    jest.advanceTimersByTime(Math.min(stepMs, left));
    await runReady();
  }
}

export interface ScriptedSend {
  readonly sequence: number;
  readonly mayResend: boolean;
  readonly isOver: boolean;
  answer: (outcome: Outcome, changes?: Partial<Exchange>) => void;
}

export interface ScriptedCallback extends Callback {
  /** Each hangs until the test answers it, or its signal aborts. */
  readonly sends: readonly ScriptedSend[];
  readonly prepares: number;
  /** How long the last call of `close` left to what was in flight; null: it is open. */
  readonly closedWithMs: number | null;
  /** The sequences that were sent, in order. */
  sequences: () => readonly number[];
  /** Answers the oldest that hangs. */
  answer: (outcome: Outcome, changes?: Partial<Exchange>) => void;
}

/** `prepare`: what each call of it resolves with; default: null, at once. */
export function scriptCallback({ prepare = (): Promise<Exception | null> => Promise.resolve(null) } = {}) {
  const sends: ScriptedSend[] = [];
  let prepares = 0;
  let closedWithMs: number | null = null;
  const callback: ScriptedCallback = {
    sends,
    get prepares() {
      return prepares;
    },
    get closedWithMs() {
      return closedWithMs;
    },
    sequences: () => sends.map(({ sequence }) => sequence),
    answer(outcome, changes) {
      const send = sends.find(({ isOver }) => !isOver);
      if (send === undefined) throw new Error("Nothing is in flight");
      send.answer(outcome, changes);
    },
    prepare() {
      prepares += 1;
      return prepare();
    },
    send: (message, { mayResend, signal }) =>
      new Promise((resolve) => {
        const send = {
          sequence: message.sequence,
          mayResend,
          isOver: false,
          answer(outcome: Outcome, changes: Partial<Exchange> = {}) {
            send.isOver = true;
            resolve(toExchange(outcome, changes));
          },
        };
        sends.push(send);
        const abort = () => send.answer(NO_ANSWER, { aborted: true });
        if (signal.aborted) abort();
        else signal.addEventListener("abort", abort);
      }),
    preview: () => ({ method: "POST", url: "http://127.0.0.1/", headers: [] }),
    stats: { openConnections: 0, resends: 0 },
    close(graceMs) {
      closedWithMs = graceMs;
      return Promise.resolve();
    },
  };
  return callback;
}

export interface ScriptedLetters extends DeadLetters {
  readonly tries: readonly DeadLetter[];
  /** Answers the oldest try that waits. */
  answer: (result: StoreResult) => void;
  /** What each later try gets at once; null: it waits. */
  answerAll: (result: StoreResult | null) => void;
}

/** An endpoint that never answers unless it is told to; a try ends when its signal aborts. */
export function scriptLetters({ has = false } = {}): ScriptedLetters {
  const tries: DeadLetter[] = [];
  const waiting: ((result: StoreResult) => void)[] = [];
  let always: StoreResult | null = null;
  return {
    tries,
    answer: (result) => waiting.shift()?.(result),
    answerAll(result) {
      always = result;
      if (result !== null) for (const answer of waiting.splice(0)) answer(result);
    },
    store(letter, signal) {
      tries.push(letter);
      if (always !== null) return Promise.resolve(always);
      return new Promise((resolve) => {
        const abort = () => resolve({ kind: "unavailable", reason: "No answer" });
        if (signal.aborted) return abort();
        signal.addEventListener("abort", abort);
        waiting.push(resolve);
      });
    },
    has: () => Promise.resolve(has),
    check: () => Promise.resolve(null),
  };
}

export interface MemoryGuard extends Guard {
  readonly done: readonly number[];
  isClosed: boolean;
}

export function createMemoryGuard(changes: Partial<Guard> = {}): MemoryGuard {
  const done: number[] = [];
  const guard: MemoryGuard = {
    done,
    isClosed: false,
    position: () => null,
    expectStream: () => Promise.resolve(),
    align: () => Promise.resolve(),
    isDone: ({ sequence }) => done.includes(sequence),
    markDone: ({ sequence }) => void done.push(sequence),
    markDoneDurably: ({ sequence }) => Promise.resolve(void done.push(sequence)),
    repair: () => Promise.resolve(),
    advance: () => Promise.resolve(),
    forget: () => Promise.resolve(void done.splice(0)),
    get size() {
      return done.length;
    },
    close: () => Promise.resolve(void (guard.isClosed = true)),
    ...changes,
  };
  return guard;
}

export interface ScriptedPump<Handlers extends PumpHandlers = PumpHandlers> extends Pump {
  readonly handlers: Handlers;
  readonly capacities: readonly number[];
  readonly released: number;
  readonly isStopped: boolean;
  deliver: (sequence: number, changes?: Partial<Message>) => void;
}

/** What it delivers writes its answers into `answers`: `ack 1`, `nak 2`, `confirm 3`. */
export function scriptPump<Handlers extends PumpHandlers>(
  handlers: Handlers,
  { answers, confirm = true }: { answers: string[]; confirm?: boolean },
): ScriptedPump<Handlers> {
  const capacities = [handlers.capacity.usual];
  let released = 0;
  let isStopped = false;
  return {
    handlers,
    capacities,
    get released() {
      return released;
    },
    get isStopped() {
      return isStopped;
    },
    deliver: (sequence, changes = {}) =>
      handlers.onMessage(toReceived(sequence, { answers, confirm, changes })),
    release: () => void (released += 1),
    setCapacity: ({ usual }) => void capacities.push(usual),
    stop: () => Promise.resolve(void (isStopped = true)),
    stats: () => ({
      held: 0,
      capacity: 0,
      outstanding: 0,
      pulls: 0,
      received: 0,
      silences: 0,
      lastStatus: null,
    }),
  };
}

/** `confirm` false: it is not known whether the server took the ack. */
export function toReceived(
  sequence: number,
  {
    answers,
    confirm = true,
    changes = {},
  }: { answers: string[]; confirm?: boolean; changes?: Partial<Message> },
): Received {
  return {
    message: {
      stream: "ORDERS",
      sequence,
      subject: "orders.new",
      timestampNanos: BigInt(sequence),
      deliveryCount: 1,
      headers: [],
      unreadableHeaders: 0,
      body: new Uint8Array(),
      ...changes,
    },
    ack: () => void answers.push(`ack ${sequence}`),
    confirmAck() {
      answers.push(`confirm ${sequence}`);
      return Promise.resolve(confirm);
    },
    nak: () => void answers.push(`nak ${sequence}`),
    working: () => {},
    pending: 0,
    bytes: 0,
    consumerSequence: sequence,
  };
}

/**
 * The clock of each test of the file is turned by hand. Returns what a test tells of each pipeline that it opens: after the test
 * all of them are closed, and no timer may be left.
 */
export function closePipelines(): (pipeline: Pipeline) => void {
  let opened: Pipeline[] = [];
  beforeEach(() => void jest.useFakeTimers());
  afterEach(async () => {
    for (const pipeline of opened) void pipeline.close({ graceMs: 0 }); // Never rejects.
    opened = [];
    await turnClock(4000, 1000);
    const left = jest.getTimerCount();
    jest.useRealTimers();
    expect(left).toBe(0);
  });
  return (pipeline) => opened.push(pipeline);
}
