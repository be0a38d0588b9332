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
/**
 * Limits the digits so that counts stay below 2^53 and times before 2286: any client may publish to the inbox. One
 * expression for all fields, because this is on the hot path.
 */
const FIELDS = String.raw`([^.]*)\.([^.]*)\.(\d{1,15})\.(\d{1,15})\.(\d{1,15})\.(\d{1,19})\.(\d+)`;
const WITHOUT_DOMAIN = new RegExp(String.raw`^\$JS\.ACK\.${FIELDS}$`);
const WITH_DOMAIN = new RegExp(String.raw`^\$JS\.ACK\.[^.]*\.[^.]*\.${FIELDS}(?:\.|$)`);

/**
 * `$JS.ACK.<stream>.<consumer>.<count>.<sequence>.<consumer sequence>.<time>.<pending>`, or with `<domain>.<account>.`
 * before the stream and possibly a random token at the end. null: not an ack subject.
 */
export function parseAckSubject(subject: string): AckSubject | null {
  const parts = WITHOUT_DOMAIN.exec(subject) ?? WITH_DOMAIN.exec(subject);
  if (parts === null) return null;
  const position = {
    stream: parts[1] ?? "",
    consumer: parts[2] ?? "",
    deliveryCount: Number(parts[3]),
    sequence: Number(parts[4]),
    consumerSequence: Number(parts[5]),
    timestampNanos: BigInt(parts[6] ?? ""),
    // A server that counts below 0 writes a value just below 2^64; the message is valid nevertheless.
    pending: Math.min(Number(parts[7]), Number.MAX_SAFE_INTEGER),
  };
  return position.deliveryCount === 0 || position.sequence === 0 ? null : position;
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

/** An ack subject of the same consumer for a message that does not exist: publishing there has no effect. */
export function toProbe(ackSubject: string): string {
  const tokens = ackSubject.split(".");
  const first = tokens.length === TOKENS_WITHOUT_DOMAIN ? 2 : 4;
  for (const index of [first + 3, first + 4]) tokens[index] = "0";
  return tokens.join(".");
}
