// The id of an entry of a dead-letter stream: the end of its subject, which stays when a replay replaces it.
//
//   a letter         <subscription>.<stream>.<sequence>-<time>, as below the producer's subject
//   anything else    @<stream>.<sequence>-<time> or @<domain>.<stream>.<sequence>-<time>, of its own place there
//
// What is not safe in a URL is written as `~` and two hexadecimal digits for each byte.

/** The message of a letter, from the end of the letter's subject. */
interface LetterOrigin {
  readonly subscription: string;
  readonly stream: string;
  readonly sequence: number;
  /** When the source stream stored it. */
  readonly timestampNanos: bigint;
}

/** Position of an entry that is not a letter of Relay's. */
interface ForeignPlace {
  readonly domain: string | null;
  readonly stream: string;
  readonly sequence: number;
  /** Distinguishes it from an entry with the same sequence in a recreated stream. */
  readonly storedAtNanos: bigint;
}

export type LetterId =
  | { readonly kind: "letter"; readonly subjectSuffix: string }
  | ({ readonly kind: "foreign" } & ForeignPlace);

const SUFFIX = /^([A-Za-z0-9_-]+)\.([^\s.*>]+)\.(\d{1,16})-([0-9a-z]{1,13})$/u;
const FOREIGN = /^@(?:([^.]+)\.)?([^.]+)\.(\d{1,16})-([0-9a-z]{1,13})$/u;
const ESCAPED = /^(?:[A-Za-z0-9._-]|~[0-9A-F]{2})+$/;
const BASE = 36n;

/** null: not the subject of a letter. */
export function parseLetterSuffix(subjectSuffix: string): LetterOrigin | null {
  const [, subscription, stream, sequence, time] = SUFFIX.exec(subjectSuffix) ?? [];
  if (subscription === undefined || stream === undefined || time === undefined) return null;
  return { subscription, stream, sequence: Number(sequence), timestampNanos: fromBase36(time) };
}

export function toLetterId(subjectSuffix: string): string {
  return escapeText(subjectSuffix);
}

export function toForeignId({ domain, stream, sequence, storedAtNanos }: ForeignPlace): string {
  const place = [...(domain === null ? [] : [domain]), stream].map(escapeToken).join(".");
  return `@${place}.${sequence}-${storedAtNanos.toString(36)}`;
}

/** null: not the id of an entry. */
export function parseLetterId(id: string): LetterId | null {
  const [, domain, stream, sequence, time] = FOREIGN.exec(id) ?? [];
  if (stream === undefined || time === undefined) {
    const subjectSuffix = unescapeText(id);
    return subjectSuffix === null || parseLetterSuffix(subjectSuffix) === null
      ? null
      : { kind: "letter", subjectSuffix };
  }
  const plainStream = unescapeText(stream);
  const plainDomain = domain === undefined ? null : unescapeText(domain);
  if (plainStream === null || (domain !== undefined && plainDomain === null)) return null;
  return {
    kind: "foreign",
    domain: plainDomain,
    stream: plainStream,
    sequence: Number(sequence),
    storedAtNanos: fromBase36(time),
  };
}

function escapeText(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]+/gu, (part) =>
    [...new TextEncoder().encode(part)]
      .map((byte) => `~${byte.toString(16).toUpperCase().padStart(2, "0")}`)
      .join(""),
  );
}

function escapeToken(token: string): string {
  return escapeText(token).replaceAll(".", "~2E");
}

/** null: it was not written by `escapeText`. */
function unescapeText(text: string): string | null {
  if (!ESCAPED.test(text)) return null;
  try {
    return decodeURIComponent(text.replaceAll("~", "%"));
  } catch {
    return null;
  }
}

function fromBase36(digits: string): bigint {
  return Array.from(digits, (digit) => BigInt(Number.parseInt(digit, 36))).reduce(
    (sum, digit) => sum * BASE + digit,
    0n,
  );
}
