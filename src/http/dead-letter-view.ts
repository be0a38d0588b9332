// An entry of a dead-letter stream as the API shows it, and what it says of many of them.

import * as v from "valibot";
import { type Entry, LETTER_REASONS } from "#delivery/letter.ts";
import type { Header } from "#delivery/message.ts";
import { maskMessageHeader } from "#delivery/record-mask.ts";
import { createMask } from "#lib/mask.ts";
import type { FoundLetter } from "#nats/letter-find.ts";
import type { LetterFault } from "#nats/letter-scan.ts";
import type { LetterCounts } from "#nats/letters.ts";
import { count, countOrNull, date, dateOrNull, pageSchema, text, textOrNull, type View } from "./view.ts";

const PAYLOAD_ENCODINGS = ["text", "hex", "base64"] as const;

const reasonOrNull = v.pipe(
  v.nullable(v.picklist(LETTER_REASONS)),
  v.description("What the last attempt came to; null: the headers do not tell"),
);

export const deadLetterSchema = v.strictObject({
  id: text("Stays while a replay replaces the entry"),
  date: date("When it was dead-lettered"),
  isForeign: v.pipe(
    v.boolean(),
    v.description("It does not prove that Relay wrote it: all but its place is null"),
  ),
  subscription: textOrNull("It was meant for this one"),
  entrypoint: textOrNull("Of the subscription"),
  application: textOrNull("Of the subscription"),
  reason: reasonOrNull,
  status: countOrNull("Of the last response; 0: there was none"),
  error: textOrNull("Of the last attempt"),
  attempts: countOrNull("Calls that were made"),
  replays: count("Replays that failed"),
  isExhausted: v.pipe(
    v.boolean(),
    v.description("It was replayed as often as the schedule of its subscription allows, and stays"),
  ),
  stream: textOrNull("Where the message came from"),
  sequence: countOrNull("Of the message in that stream"),
  subject: textOrNull("Of the message; of a foreign entry, its own"),
  endpoint: text("Where it lies"),
  size: count("Of the body, in bytes"),
});

const faults = v.pipe(v.array(v.string()), v.description("Endpoints that could not be read, and why"));

export const deadLetterPageSchema = v.strictObject({
  ...pageSchema(deadLetterSchema).entries,
  continuesAt: dateOrNull("How far back this page looked, where it is cut for its time; null: it is not"),
  faults,
});

export const deadLetterCountsSchema = v.strictObject({
  at: date("When they were counted"),
  letters: count("Letters"),
  foreign: count("Entries that do not prove that Relay wrote them"),
  byReason: v.strictObject({
    rejected: count("Any status below 500 but 2xx"),
    "server-error": count("Status 500 and above"),
    exception: count("No response"),
    unknown: count("The headers do not tell"),
  }),
  bySubscription: v.pipe(v.record(v.string(), v.number()), v.description("Of at most 1000 subscriptions")),
  isComplete: v.pipe(v.boolean(), v.description("False: only the newest were counted")),
  faults,
});

export const deadLetterDetailSchema = v.strictObject({
  ...deadLetterSchema.entries,
  headers: v.pipe(
    v.array(v.strictTuple([v.string(), v.string()])),
    v.description(
      "Name and value of each, in order: the original ones and those of Relay; secrets of its subscription masked",
    ),
  ),
  payload: v.strictObject({
    encoding: v.picklist(PAYLOAD_ENCODINGS),
    content: text(
      "Of the body; as text secrets of its subscription are masked, and bytes that are no UTF-8 replaced",
    ),
    isCut: v.pipe(v.boolean(), v.description("There is more of it")),
  }),
});

export const purgeOutcomeSchema = v.strictObject({
  matched: count("Entries that were meant"),
  purged: count("Of these, entries that are gone now"),
  start: text("`cursor` of a purge that sees nothing newer than this dry run did"),
  next: textOrNull("`cursor` of the call that goes on; null: this one came to the end"),
});

export type DeadLetterView = View<typeof deadLetterSchema>;
export type DeadLetterPage = View<typeof deadLetterPageSchema>;
export type DeadLetterCounts = View<typeof deadLetterCountsSchema>;
export type DeadLetterDetail = View<typeof deadLetterDetailSchema>;
export type PurgeOutcomeView = View<typeof purgeOutcomeSchema>;
export type PayloadEncoding = (typeof PAYLOAD_ENCODINGS)[number];

export interface DeadLetterViewOptions {
  /** What goes along in the requests of that subscription; empty where it is not known here. */
  readonly secretsOf: (subscription: string) => readonly string[];
  /** How often a letter of that subscription is replayed by itself; null: not at all. */
  readonly maxReplaysOf: (subscription: string) => number | null;
}

/** What is shown of a body; base 64 gives all of it. */
const MAX_SHOWN_BYTES = 65_536;

export function isPayloadEncoding(word: string): word is PayloadEncoding {
  return PAYLOAD_ENCODINGS.some((encoding) => encoding === word);
}

export function toDeadLetterView(entry: Entry, { maxReplaysOf }: DeadLetterViewOptions): DeadLetterView {
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
    error: entry.error,
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

/** What steered the server says nothing of the letter. */
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
