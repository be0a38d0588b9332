// Converts dead letters and their counts to the views of the API.

import { type LetterEntry } from "#delivery/letter.ts";
import { withoutExcerpt } from "#delivery/outcome.ts";
import type { Header } from "#delivery/message.ts";
import { maskMessageHeader } from "#delivery/record-mask.ts";
import { createMask } from "#lib/mask.ts";
import type { FoundLetter } from "#letters/find.ts";
import type { LetterFault } from "#letters/scan.ts";
import type { LetterCounts } from "#letters/letters.ts";
import {
  type DeadLetterCounts,
  type DeadLetterDetail,
  type DeadLetterView,
  PAYLOAD_ENCODINGS,
  type PayloadEncoding,
} from "#wire/dead-letter.ts";

export interface DeadLetterViewOptions {
  /** Secrets in the requests of that subscription; empty if it is not known here. */
  readonly secretsOf: (subscription: string) => readonly string[];
  /** False: the error of its letters is shown without what the callback answered. */
  readonly showsExcerpt: (subscription: string) => boolean;
  /** Maximum of scheduled replays of a letter of that subscription; null: there is no schedule. */
  readonly maxReplaysOf: (subscription: string) => number | null;
}

/** Limit for a body as text or hex; base64 gives all of it. */
const MAX_SHOWN_BYTES = 65_536;

export function isPayloadEncoding(word: string): word is PayloadEncoding {
  return PAYLOAD_ENCODINGS.some((encoding) => encoding === word);
}

export function toDeadLetterView(
  entry: LetterEntry,
  { maxReplaysOf, showsExcerpt }: DeadLetterViewOptions,
): DeadLetterView {
  const { id, endpoint, size } = entry;
  const base = { id, endpoint, size, date: entry.date.toISOString() };
  if (entry.kind === "foreign") return { ...base, ...NOTHING, subject: entry.subject };
  return {
    ...base,
    isForeign: false,
    subscription: entry.subscription,
    entrypoint: entry.entrypoint,
    application: entry.application,
    reason: entry.reason,
    status: entry.status,
    error:
      entry.error === null || showsExcerpt(entry.subscription) ? entry.error : withoutExcerpt(entry.error),
    attempts: entry.attempts,
    replays: entry.replays,
    isExhausted: entry.replays >= (maxReplaysOf(entry.subscription) ?? Number.POSITIVE_INFINITY),
    stream: entry.stream,
    sequence: entry.sequence,
    subject: entry.subject,
  };
}

const NOTHING = {
  isForeign: true,
  subscription: null,
  entrypoint: null,
  application: null,
  reason: null,
  status: null,
  error: null,
  attempts: null,
  replays: 0,
  isExhausted: false,
  stream: null,
  sequence: null,
} as const;

export function toDeadLetterDetail(
  { entry, headers, body }: FoundLetter,
  { encoding, ...options }: DeadLetterViewOptions & { encoding: PayloadEncoding },
): DeadLetterDetail {
  const isWhole = encoding === "base64" || body.length <= MAX_SHOWN_BYTES;
  const shown = Buffer.from(isWhole ? body : body.subarray(0, MAX_SHOWN_BYTES));
  const mask = createMask(entry.kind === "foreign" ? [] : options.secretsOf(entry.subscription));
  const readable = new TextDecoder().decode(shown, { stream: !isWhole });
  const content =
    encoding === "text" ? mask(readable, isWhole ? undefined : "cut") : shown.toString(encoding);
  return {
    ...toDeadLetterView(entry, options),
    headers: headers.filter(isShown).map((header) => maskMessageHeader(header, mask)),
    payload: { encoding, content, isCut: !isWhole },
  };
}

/** Headers that only steer nats-server are not shown. */
function isShown([name]: Header): boolean {
  return !name.toLowerCase().startsWith("nats-expected-");
}

export function toDeadLetterCounts(counts: Extract<LetterCounts, { kind: "counted" }>): DeadLetterCounts {
  const { at, letters, foreign, byReason, bySubscription, isComplete } = counts;
  return {
    at: at.toISOString(),
    letters,
    foreign,
    byReason,
    bySubscription: Object.fromEntries(bySubscription),
    isComplete,
    faults: toFaultLines(counts.faults),
  };
}

export function toFaultLines(found: readonly LetterFault[]): string[] {
  return found.map(({ endpoint, reason }) => `${endpoint}: ${reason}`);
}
