// What a JetStream delivery says about itself: the tokens of its ack subject (NATS ADR-15).

export interface AckSubject {
  readonly stream: string;
  readonly consumer: string;
  readonly deliveryCount: number;
  readonly sequence: number;
  /** How many messages the consumer had delivered then, this one and each delivery of its own included. */
  readonly consumerSequence: number;
  readonly timestampNanos: bigint;
  /** Messages of the consumer still to be delivered. */
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
  const pending = toCount(tokens[first + 6]);
  if (stream === undefined || consumer === undefined || time === undefined || !DIGITS.test(time)) return null;
  if (deliveryCount === null || sequence === null || pending === null || consumerSequence === null)
    return null;
  return {
    stream,
    consumer,
    deliveryCount,
    sequence,
    consumerSequence,
    timestampNanos: BigInt(time),
    pending,
  };
}

const DIGITS = /^\d+$/;

function toCount(text: string | undefined): number | null {
  return text !== undefined && DIGITS.test(text) ? Number(text) : null;
}
