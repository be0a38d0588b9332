// The sample message of a test: looks like a message of the subscription, and is marked as a sample.

import type { Message } from "./message.ts";
import type { Source } from "./subscription.ts";

/** No message of a stream has this sequence. */
const SEQUENCE = 0;
const NANOS_PER_MS = 1_000_000n;

export function toSampleMessage(
  { stream, filterSubjects }: Source,
  { body, now }: { body: Uint8Array; now: Date },
): Message {
  const subject = filterSubjects[0] ?? "relay.test";
  return {
    stream,
    sequence: SEQUENCE,
    subject,
    timestampNanos: BigInt(now.getTime()) * NANOS_PER_MS,
    deliveryCount: 1,
    headers: [],
    unreadableHeaders: 0,
    body: body.length > 0 ? body : toDefaultBody(subject, now),
  };
}

export function isSample({ sequence }: Message): boolean {
  return sequence === SEQUENCE;
}

function toDefaultBody(subject: string, now: Date): Uint8Array {
  const text = "This is a test of the callback, sent by hand";
  return new TextEncoder().encode(JSON.stringify({ test: true, text, subject, date: now.toISOString() }));
}
