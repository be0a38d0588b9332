// The message of a test: looks like one of the subscription's, and says that it is none.

import type { Message } from "./message.ts";
import type { Source } from "./subscription.ts";

/** Told to the callback in a header, for no message of a stream has the sequence 0. */
const MARK = ["X-Relay-Test", "true"] as const;
const NANOS_PER_MS = 1_000_000n;

export function toSampleMessage(
  { stream, filterSubjects }: Source,
  { body, now }: { body: Uint8Array; now: Date },
): Message {
  const subject = filterSubjects[0] ?? "relay.test";
  return {
    stream,
    sequence: 0,
    subject,
    timestampNanos: BigInt(now.getTime()) * NANOS_PER_MS,
    deliveryCount: 1,
    headers: [MARK],
    unreadableHeaders: 0,
    body: body.length > 0 ? body : toDefaultBody(subject, now),
  };
}

function toDefaultBody(subject: string, now: Date): Uint8Array {
  const text = "This is a test of the callback, sent by hand";
  return new TextEncoder().encode(JSON.stringify({ test: true, text, subject, date: now.toISOString() }));
}
