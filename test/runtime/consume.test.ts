// One pump at a time, whatever it is lost by; what it delivered stays held; and a consumer that is lost again and again is
// tried less and less often. The pumps are scripted.

import { expect, test } from "bun:test";

import type { Callback } from "#callback/client.ts";
import { toConsumerConfig, toConsumerSettings } from "#consumer/config.ts";
import type { ConsumerReading } from "#consumer/info.ts";
import type { Pump, PumpOptions } from "#consumer/pump.ts";
import type { Guard } from "#pipeline/guard.ts";
import { type PumpHandlers, createPipeline } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { createTurns } from "#pipeline/turns.ts";
import { createSharedBackoff } from "#runtime/shared-backoff.ts";
import { consume, type ConsumeEnd } from "#runtime/consume.ts";

import { eventually } from "../support/eventually.ts";
import { toReceived } from "../support/scripted-parts.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { toSubscription } from "../support/subscription.ts";
import { ALIGNED } from "./parts.ts";

const SETTINGS = toConsumerSettings(toSubscription());

/** With its acks, or as another relay made it. */
function toConfig(hasAcks: boolean): ConsumerReading["config"] {
  const config = toConsumerConfig({ ...SETTINGS, acks: hasAcks }, { kind: "policy" });
  return config as ConsumerReading["config"];
}

interface ScriptedPump {
  readonly options: PumpHandlers & Pick<PumpOptions, "onUsable" | "onLost">;
  readonly startedAt: number;
  released: number;
  isStopped: boolean;
}

interface Lab extends AsyncDisposable {
  readonly pumps: readonly ScriptedPump[];
  /** Sent to the callback, which waits for `answer`. */
  readonly sent: number;
  answer: () => void;
  readonly naks: readonly number[];
  readonly states: readonly string[];
  readonly waits: readonly unknown[];
  readonly ended: Promise<ConsumeEnd>;
  pump: (number: number) => Promise<ScriptedPump>;
  deliver: (pump: ScriptedPump, sequence: number) => void;
}

/** `onStart`: called for each pump before it is there. */
function openLab({ hasAcks = (): boolean => true, onStart = (_number: number): void => {} } = {}): Lab {
  const pumps: ScriptedPump[] = [];
  const states: string[] = [];
  const naks: number[] = [];
  const answers: (() => void)[] = [];
  let sent = 0;
  const stopping = new AbortController();
  const logger = createRecordingLogger();

  function startPump(_: unknown, options: ScriptedPump["options"]): Pump {
    onStart(pumps.length + 1);
    expect(pumps.every(({ isStopped }) => isStopped)).toBe(true);
    const pump: ScriptedPump = { options, startedAt: performance.now(), released: 0, isStopped: false };
    pumps.push(pump);
    return {
      release: () => (pump.released += 1),
      setCapacity: () => {},
      async stop() {
        await Bun.sleep(20);
        pump.isStopped = true;
      },
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

  const callback = {
    async send() {
      sent += 1;
      await new Promise<void>((resolve) => answers.push(resolve));
      return { outcome: { kind: "delivered", status: 200 }, aborted: false };
    },
    close: () => Promise.resolve(),
  } as unknown as Callback;
  const guard = {
    position: () => null,
    align: () => Promise.resolve(),
    advance: () => Promise.resolve(),
    isDone: () => false,
    markDone: () => {},
    size: 0,
  } as unknown as Guard;
  const ended = consume(
    {
      terms: createTerms(toSubscription(), { openCallback: () => callback, hasDeadLetters: false }),
      turns: createTurns(5),
      guard,
      isSkipped: () => false,
      isProbe: false,
      isOneByOne: true,
      lost: new AbortController().signal,
      stopping: stopping.signal,
      graceMs: () => 100,
      onPipeline: () => {},
      onInterrupted: ({ text }) => states.push(`interrupted: ${text}`),
      onWaiting: (reason) => states.push(`waiting: ${reason}`),
      onConsuming: () => states.push("consuming"),
      onRecovered: () => {},
    },
    {
      connected: () => Promise.resolve(true),
      backoff: createSharedBackoff(),
      lastPongAt: () => performance.now(),
      alignConsumer: () => Promise.resolve(ALIGNED),
      onReconnect: () => () => {},
      readConsumer: () =>
        Promise.resolve({
          ackFloor: null,
          config: toConfig(hasAcks()),
          waiting: 0,
          ackPending: 0,
          consumerSequence: 0,
        }),
      followConsumer: () => () => {},
      startPump,
      createPipeline,
      deadLetters: null,
      observer: { attempted: () => {}, settled: () => {}, postponed: () => {} },
      logger,
    },
  );
  return {
    pumps,
    get sent() {
      return sent;
    },
    answer: () => answers.shift()?.(),
    naks,
    states,
    get waits() {
      return logger.lines
        .filter(({ message }) => message === "Subscription waits")
        .map(({ fields }) => fields["reason"]);
    },
    ended,
    pump: (number) => eventually(() => pumps[number - 1], { what: `pump ${number}` }),
    deliver: ({ options }, sequence) =>
      options.onMessage({ ...toReceived(sequence, { answers: [] }), nak: () => naks.push(sequence) }),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      for (const answer of answers) answer();
      await ended;
      expect(pumps.every(({ isStopped }) => isStopped)).toBe(true);
    },
  };
}

test("consume() stops the pump of a re-created consumer before it starts the next", async () => {
  let reads = 0;
  await using lab = openLab({ hasAcks: () => (reads += 1) > 1 });
  const first = await lab.pump(1);
  lab.deliver(first, 1);
  await eventually(() => lab.sent === 1);
  const second = await lab.pump(2);
  expect(first.isStopped).toBe(true);
  expect(second.options.held).toBe(1);
  lab.answer();
  await eventually(() => second.released === 1);
  expect(first.released).toBe(0);
  expect(lab.states).toEqual(["consuming"]);
});

test("consume() backs off from a consumer that is lost at once, until it was useful", async () => {
  await using lab = openLab();
  for (let number = 1; number <= 4; number += 1) (await lab.pump(number)).options.onLost("no");
  const [first, second, third, fourth] = lab.pumps;
  const gaps = [second, third, fourth].map(
    (pump, index) => (pump?.startedAt ?? 0) - (lab.pumps[index]?.startedAt ?? 0),
  );
  expect(first?.isStopped).toBe(true);
  expect(gaps[1]).toBeGreaterThan(300);
  expect(gaps[2]).toBeGreaterThan(gaps[1] ?? 0);
  const reason = "Cannot consume ORDERS as relay-billing: no";
  expect(lab.waits).toEqual([reason]);
  expect(new Set(lab.states)).toEqual(new Set(["consuming", `waiting: ${reason}`]));
  const fifth = await lab.pump(5);
  lab.deliver(fifth, 1);
  fifth.options.onUsable(null);
  expect(lab.states.at(-1)).toBe("consuming");
  fifth.options.onLost("no");
  const lostAt = performance.now();
  expect((await lab.pump(6)).startedAt - lostAt).toBeLessThan(3000);
}, 20_000);

test("consume() waits while the consumer is unusable, and logs each reason once", async () => {
  await using lab = openLab();
  const { options } = await lab.pump(1);
  for (const obstacle of ["one", "two", "one", "two"]) options.onUsable(obstacle);
  expect(lab.states).toEqual(["consuming", "waiting: one", "waiting: two", "waiting: one", "waiting: two"]);
  expect(lab.waits).toEqual(["one", "two"]);
  options.onUsable(null);
  options.onUsable("one");
  expect(lab.states.slice(-2)).toEqual(["consuming", "waiting: one"]);
  expect(lab.waits).toEqual(["one", "two", "one"]);
});

test("consume() is interrupted by its own bug, and gives held messages back", async () => {
  const lab = openLab({
    onStart(number) {
      if (number === 2) throw new Error("no pump");
    },
  });
  const first = await lab.pump(1);
  for (let sequence = 1; sequence <= 6; sequence += 1) lab.deliver(first, sequence);
  await eventually(() => lab.sent === 5);
  first.options.onLost("gone");
  await eventually(() => lab.states.at(-1) === "interrupted: Internal error: no pump");
  for (let i = 0; i < 5; i += 1) lab.answer();
  expect(await lab.ended).toEqual({ kind: "interrupted" });
  expect(lab.naks).toEqual([6]);
});
