// Guards for tests, and the messages they are asked about.

import type { Message } from "#delivery/message.ts";
import { createLogger, type Logger } from "#lib/logger.ts";
import type { AlignedConsumer } from "#consumer/consumer.ts";
import { type Guard, openGuard } from "#pipeline/guard.ts";

export const CONSUMER: AlignedConsumer = {
  streamCreated: "2024-05-06T07:08:09.123456789Z",
  consumerCreated: "2024-05-06T07:08:10.5Z",
  lastSequence: 1000,
  lastTimestampNanos: null,
  continuity: { kind: "unknown" },
  ackFloor: 0,
  change: "kept",
  notes: [],
};
export const START_NANOS = 1_700_000_000_000_000_000n;

/** Later messages are younger, as in a stream. */
export function message(sequence: number, timestampNanos = START_NANOS + BigInt(sequence)): Message {
  return {
    stream: "ORDERS",
    sequence,
    subject: "orders",
    timestampNanos,
    deliveryCount: 1,
    headers: [],
    unreadableHeaders: 0,
    body: new Uint8Array(),
  };
}

/** Logs into `lines`. */
export async function open(
  path: string,
  lines: string[] = [],
  { needsFile = false, isPrompt = false } = {},
): Promise<Guard & AsyncDisposable> {
  const guard = await openGuard(path, { isPrompt, needsFile, logger: recordingLogger(lines) });
  return {
    ...guard,
    get size() {
      return guard.size;
    },
    [Symbol.asyncDispose]: guard.close,
  };
}

export async function openAligned(
  path: string,
  consumer: Partial<AlignedConsumer> = {},
): Promise<Guard & AsyncDisposable> {
  const guard = await open(path);
  await guard.align({ ...CONSUMER, ...consumer });
  return guard;
}

export function isDoneFor(guard: Guard, sequences: readonly number[]): boolean[] {
  return sequences.map((sequence) => guard.isDone(message(sequence)));
}

function recordingLogger(lines: string[]): Logger {
  const write = (line: string) => lines.push(line);
  return createLogger({ level: "debug", format: "json", write, now: () => new Date() });
}
