// What a JetStream delivery says about itself: the tokens of its ack subject (NATS ADR-15).

export interface AckSubject {
  readonly stream: string;
  readonly consumer: string;
  readonly deliveryCount: number;
  readonly sequence: number;
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
  const [stream, consumer, ...rest] = tokens.slice(first, first + 7);
  const [count, sequence, consumerSequence, time, pending] = rest;
  if (stream === undefined || consumer === undefined || time === undefined) return null;
  const numbers = [count, sequence, consumerSequence, time, pending];
  if (!numbers.every((text) => text !== undefined && /^\d+$/.test(text))) return null;
  return {
    stream,
    consumer,
    deliveryCount: Number(count),
    sequence: Number(sequence),
    timestampNanos: BigInt(time),
    pending: Number(pending),
  };
}
