// What the tests of running subscriptions share: one whose consumer, pumps, callback and state do what the test says.

import type { Callback } from "#callback/client.ts";
import { toConsumerSettings } from "#consumer/config.ts";
import type { Aligned } from "#consumer/consumer.ts";
import type { PumpOptions } from "#consumer/pump.ts";
import { applyCommand, fail, initialStatus, recover, type SubscriptionStatus } from "#delivery/status.ts";
import type { OperatorStatus } from "#delivery/status.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { createPipeline, type PumpHandlers } from "#pipeline/pipeline.ts";
import type { SeekMark, SeekMarks } from "#runtime/seek-marks.ts";
import { createSharedBackoff } from "#runtime/shared-backoff.ts";
import type { StatusCell } from "#runtime/states.ts";
import type { SubscriptionParts } from "#runtime/subscription.ts";
import { createRecordingLogger, type RecordingLogger } from "../support/nats.ts";
import {
  createMemoryGuard,
  type MemoryGuard,
  scriptCallback,
  type ScriptedCallback,
  type ScriptedPump,
  scriptPump,
} from "../support/scripted-parts.ts";
import { toSubscription } from "../support/subscription.ts";

type Handlers = PumpHandlers & Pick<PumpOptions, "onUsable" | "onLost">;

export interface ScriptedParts {
  readonly parts: SubscriptionParts;
  /** The newest callback. */
  readonly callback: ScriptedCallback;
  readonly callbacks: readonly ScriptedCallback[];
  /** The newest pump. */
  readonly pump: ScriptedPump<Handlers>;
  readonly pumps: readonly ScriptedPump<Handlers>[];
  readonly cell: StatusCell;
  readonly guard: MemoryGuard;
  readonly answers: readonly string[];
  /** How each message ended. */
  readonly endings: readonly string[];
  readonly logger: RecordingLogger;
}

export const ALIGNED: Aligned = {
  consumerCreated: "2026-01-01T00:00:00Z",
  streamCreated: "2026-01-01T00:00:00Z",
  lastSequence: 0,
  lastTimestampNanos: null,
  continuity: { kind: "unknown" },
  ackFloor: 0,
  change: "kept",
  notes: [],
  settings: toConsumerSettings(toSubscription()),
};

export function scriptParts(changes: Partial<SubscriptionParts> = {}): ScriptedParts {
  const callbacks: ScriptedCallback[] = [];
  const pumps: ScriptedPump<Handlers>[] = [];
  const answers: string[] = [];
  const endings: string[] = [];
  const guard = createMemoryGuard();
  const logger = createRecordingLogger();
  const cell = createMemoryCell();
  const newest = <T>(all: readonly T[]): T => {
    const last = all.at(-1);
    if (last === undefined) throw new Error("There is none yet");
    return last;
  };
  return {
    callbacks,
    pumps,
    answers,
    endings,
    guard,
    logger,
    cell,
    get callback() {
      return newest(callbacks);
    },
    get pump() {
      return newest(pumps);
    },
    parts: {
      connected: () => Promise.resolve(true),
      isConnected: () => true,
      reconnects: () => 0,
      onReconnect: () => () => {},
      seat: null,
      pausedUntil: () => null,
      lastPongAt: () => performance.now(),
      alignConsumer: () => Promise.resolve(ALIGNED),
      makeConsumer: () => Promise.resolve(ALIGNED),
      moveConsumer: () => Promise.resolve(ALIGNED),
      readConsumer: () => Promise.resolve(null),
      followConsumer: () => () => {},
      startPump(_settings, handlers) {
        const pump = scriptPump(handlers, { answers });
        pumps.push(pump);
        return pump;
      },
      openGuard: () => Promise.resolve(guard),
      openCallback(): Callback {
        const callback = scriptCallback();
        callbacks.push(callback);
        return callback;
      },
      createPipeline,
      backoff: createSharedBackoff(() => 0),
      status: cell,
      deadLetters: null,
      observer: {
        attempted: () => {},
        settled: ({ message, ending }) => void endings.push(`${message.sequence} ${ending.kind}`),
        postponed: () => {},
      },
      logger,
      ...changes,
    },
  };
}

/** The state of one subscription, of which no other relay knows. */
function createMemoryCell(): StatusCell {
  const listeners = new Set<() => void>();
  let current = initialStatus("ACCEPTED");
  function change(to: SubscriptionStatus): void {
    if (to === current) return;
    current = to;
    tell();
  }
  function tell(): void {
    for (const listener of listeners) listener();
  }
  return {
    ready: (signal) => Promise.resolve(!signal.aborted),
    get current() {
      return current;
    },
    isApplicationPaused: false,
    isSkipped: () => false,
    command: (command) => Promise.resolve(change(applyCommand(current, command))),
    notStored: null,
    fail: (cause) => change(fail(current, cause)),
    recover: () => change(recover(current)),
    declare: (status: OperatorStatus) => change({ ...current, status }),
    seekMarks: createMemoryMarks(tell),
    end: () => Promise.resolve(),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    forget: () => {},
  };
}

function createMemoryMarks(tell: () => void): SeekMarks {
  let current: SeekMark | null = null;
  function set(mark: SeekMark): void {
    current = mark;
    tell();
  }
  return {
    get current() {
      return current;
    },
    read: () => Promise.resolve({ mark: current, revision: 0 }),
    claim(mark) {
      set(mark);
      return Promise.resolve(true);
    },
    renew: set,
    end: set,
  };
}

/** One that the test waits for in steps of its clock. */
export function toSettled<T>(promise: Promise<T>): { isSettled: boolean } {
  const watched = { isSettled: false };
  const settle = () => (watched.isSettled = true);
  promise.then(settle, settle);
  return watched;
}

export function withPath(subscription: Subscription, path: string): Subscription {
  const { callback } = subscription;
  return { ...subscription, callback: { ...callback, url: new URL(path, callback.url) } };
}
