// Parses the ack subject of a JetStream delivery: stream, consumer, sequence, delivery count, time (NATS ADR-15).

interface AckSubject {
  readonly stream: string;
  readonly consumer: string;
  readonly deliveryCount: number;
  readonly sequence: number;
  /** Number of this delivery in the consumer, redeliveries included. */
  readonly consumerSequence: number;
  readonly timestampNanos: bigint;
  /** Messages that the consumer has not delivered yet. */
  readonly pending: number;
}

const TOKENS_WITHOUT_DOMAIN = 9;
const TOKENS_WITH_DOMAIN = 11;

/**
 * `$JS.ACK.<stream>.<consumer>.<count>.<sequence>.<consumer sequence>.<time>.<pending>`, or with `<domain>.<account>.`
 * before the stream and possibly a random token at the end. null: not an ack subject.
 */
export function parseAckSubject(subject: string): AckSubject | null {
  if (!subject.startsWith("$JS.ACK.")) return null;
  const tokens = subject.split(".");
  if (tokens.length !== TOKENS_WITHOUT_DOMAIN && tokens.length < TOKENS_WITH_DOMAIN) return null;
  const first = tokens.length === TOKENS_WITHOUT_DOMAIN ? 2 : 4;
  const stream = tokens[first];
  const consumer = tokens[first + 1];
  const time = tokens[first + 5];
  const deliveryCount = toCount(tokens[first + 2]);
  const sequence = toCount(tokens[first + 3]);
  const consumerSequence = toCount(tokens[first + 4]);
  const pending = tokens[first + 6];
  if (stream === undefined || consumer === undefined || time === undefined || !NANOS.test(time)) return null;
  if (pending === undefined || !DIGITS.test(pending) || consumerSequence === null) return null;
  if (deliveryCount === null || sequence === null || deliveryCount === 0 || sequence === 0) return null;
  return {
    stream,
    consumer,
    deliveryCount,
    sequence,
    consumerSequence,
    timestampNanos: BigInt(time),
    // A server that counts below 0 writes a value just below 2^64; the message is fine anyway.
    pending: Math.min(Number(pending), Number.MAX_SAFE_INTEGER),
  };
}

/** Stream and consumer of an ack subject or a probe; empty for another subject. */
export function ackOwnerOf(subject: string): string {
  if (!subject.startsWith("$JS.ACK.")) return "";
  const tokens = subject.split(".");
  return tokens
    .slice(tokens.length === TOKENS_WITHOUT_DOMAIN ? 2 : 4)
    .slice(0, 2)
    .join(" ");
}

/** An ack subject of the same consumer for no message: an answer there changes nothing. */
export function toProbe(ackSubject: string): string {
  const tokens = ackSubject.split(".");
  const first = tokens.length === TOKENS_WITHOUT_DOMAIN ? 2 : 4;
  for (const index of [first + 3, first + 4]) tokens[index] = "0";
  return tokens.join(".");
}

const DIGITS = /^\d+$/;
/** Below 2^53: any client that may publish to the inbox can forge it. */
const COUNT = /^\d{1,15}$/;
/** Until the year 2286. */
const NANOS = /^\d{1,19}$/;

function toCount(text: string | undefined): number | null {
  return text !== undefined && COUNT.test(text) ? Number(text) : null;
}
