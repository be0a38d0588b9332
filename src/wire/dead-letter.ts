// Dead letters as the API shows them, and the bodies and queries that choose some of them.

import * as v from "valibot";
import { choice, flag, integer, list, calendarTime, object, text as formed } from "#schema/parts.ts";
import { LETTER_REASONS } from "#delivery/letter.ts";
import { component, exampleOf } from "./component.ts";
import { anyOf, limitSchema, oneOrAnyOf, statusFilterSchema } from "./query.ts";
import {
  count,
  countOrNull,
  date,
  headerPairs,
  dateOrNull,
  pageSchema,
  stringView,
  textOrNull,
  type ViewOf,
} from "./view.ts";

export const PAYLOAD_ENCODINGS = ["text", "hex", "base64"] as const;

const reasonOrNull = v.pipe(
  v.nullable(v.picklist(LETTER_REASONS)),
  v.description("Outcome of the last attempt; null: not known"),
);

const deadLetterSchema = component(
  "DeadLetter",
  v.strictObject({
    id: stringView("Id of the entry; a replay that fails again keeps it"),
    date: date("When it was dead-lettered"),
    isForeign: v.pipe(
      v.boolean(),
      v.description("True: nothing proves that Relay wrote it, so that most of its fields are null"),
    ),
    subscription: textOrNull("Id of the subscription that it was meant for"),
    entrypoint: textOrNull("Entrypoint of the subscription"),
    application: textOrNull("Application of the subscription"),
    reason: reasonOrNull,
    status: countOrNull("Status of the last response; 0: there was none"),
    error: textOrNull("Error of the last attempt"),
    attempts: countOrNull("Number of attempts"),
    replays: count("Number of failed replays"),
    isExhausted: v.pipe(
      v.boolean(),
      v.description("True: it was replayed as often as the schedule of its subscription allows"),
    ),
    stream: textOrNull("Stream of the message"),
    sequence: countOrNull("Sequence of the message in that stream"),
    subject: textOrNull("Subject of the message; of a foreign entry, its own subject"),
    endpoint: stringView("Endpoint whose dead-letter stream holds it"),
    size: count("Size of the payload in bytes"),
  }),
  {
    id: "billing.ORDERS.4711-3g5kz0q1v7p9",
    date: "2026-01-31T12:00:00.000Z",
    isForeign: false,
    subscription: "billing",
    entrypoint: "webhook",
    application: "shop",
    reason: "rejected",
    status: 422,
    error: "Callback answered 422",
    attempts: 1,
    replays: 0,
    isExhausted: false,
    stream: "ORDERS",
    sequence: 4711,
    subject: "orders.created",
    endpoint: "dead-letters",
    size: 27,
  },
);

const faults = v.pipe(v.array(v.string()), v.description("Endpoints that could not be read, and why"));

export const deadLetterPageSchema = component(
  "DeadLetterPage",
  v.strictObject({
    ...pageSchema(deadLetterSchema).entries,
    continuesAt: dateOrNull("How far back this page looked, if it ended early; null: it is complete"),
    faults,
  }),
  {
    items: [exampleOf(deadLetterSchema)],
    next: null,
    continuesAt: null,
    faults: [],
  },
);

export const deadLetterCountsSchema = component(
  "DeadLetterCounts",
  v.strictObject({
    at: date("When they were counted"),
    letters: count("Number of dead letters"),
    foreign: count("Entries that Relay did not provably write"),
    byReason: v.strictObject({
      rejected: count("Any status below 500 except 2xx"),
      "server-error": count("Status 500 and above"),
      exception: count("No response"),
      expression: count("An expression failed"),
      expired: count("Older than `maxAgeSeconds` when its turn came"),
      unknown: count("Not known from the headers"),
    }),
    bySubscription: v.pipe(
      v.record(v.string(), v.number()),
      v.description("Number by subscription, of 1000 subscriptions at most"),
    ),
    isComplete: v.pipe(v.boolean(), v.description("False: only the newest letters were counted")),
    faults,
  }),
  {
    at: "2026-01-31T12:00:00.000Z",
    letters: 211,
    foreign: 0,
    byReason: { rejected: 200, "server-error": 1, exception: 10, expression: 0, expired: 0, unknown: 0 },
    bySubscription: { billing: 211 },
    isComplete: true,
    faults: [],
  },
);

export const deadLetterDetailSchema = component(
  "DeadLetterDetail",
  v.strictObject({
    ...deadLetterSchema.entries,
    headers: v.pipe(
      headerPairs,
      v.description(
        "Name and value of each, in order: the original ones and those of Relay. Secrets of the subscription are masked",
      ),
    ),
    payload: v.strictObject({
      encoding: v.picklist(PAYLOAD_ENCODINGS),
      content: stringView(
        "The payload. As text, secrets of the subscription are masked and bytes that are not UTF-8 replaced",
      ),
      isCut: v.pipe(v.boolean(), v.description("True: the payload is longer")),
    }),
  }),
  {
    ...exampleOf(deadLetterSchema),
    headers: [["Content-Type", "application/json"]],
    payload: { encoding: "text", content: '{"order":1,"customer":null}', isCut: false },
  },
);

export const purgeOutcomeSchema = component(
  "PurgeOutcome",
  v.strictObject({
    matched: count("Entries that matched"),
    purged: count("Entries that were deleted"),
    start: stringView("`cursor` for a purge that leaves letters newer than this dry run"),
    next: textOrNull("`cursor` of the next call; null: there is nothing left to do"),
  }),
  {
    matched: 211,
    purged: 0,
    start: "eyJzZXEiOjQ3MTF9",
    next: null,
  },
);

export type DeadLetterView = ViewOf<typeof deadLetterSchema>;
export type DeadLetterPage = ViewOf<typeof deadLetterPageSchema>;
export type DeadLetterCounts = ViewOf<typeof deadLetterCountsSchema>;
export type DeadLetterDetail = ViewOf<typeof deadLetterDetailSchema>;
export type PurgeOutcomeView = ViewOf<typeof purgeOutcomeSchema>;
export type PayloadEncoding = (typeof PAYLOAD_ENCODINGS)[number];

const MAX_IDS = 1000;

const some = { pattern: /^[^\p{Cc}]{1,256}$/u, allowed: "1 to 256 characters without control characters" };

const word = { pattern: /^[A-Za-z0-9_-]{1,4096}$/u, allowed: "what an answer gave" };

const VALUES = {
  subscription: formed("Id of the subscription", some),
  entrypoint: formed("Id of the entrypoint", some),
  application: formed("`application` of the subscription", some),
  reason: choice("Outcome of the last attempt", LETTER_REASONS),
  status: statusFilterSchema,
  error: formed("Part of the text of the error, ignoring case", some),
};
const TIMES = {
  from: v.optional(calendarTime("Dead-lettered at this time or later, RFC 3339")),
  to: v.optional(calendarTime("Dead-lettered before this time, RFC 3339")),
};

/** Of a body: each is one value, or a list of them. */
export const letterFilterSchema = object({
  subscription: oneOrAnyOf(VALUES.subscription),
  entrypoint: oneOrAnyOf(VALUES.entrypoint),
  application: oneOrAnyOf(VALUES.application),
  reason: oneOrAnyOf(VALUES.reason),
  status: oneOrAnyOf(VALUES.status),
  error: oneOrAnyOf(VALUES.error),
  ...TIMES,
});

/** Of a query: each may be there several times. */
export const letterFiltersSchema = object({
  subscription: anyOf(VALUES.subscription),
  entrypoint: anyOf(VALUES.entrypoint),
  application: anyOf(VALUES.application),
  reason: anyOf(VALUES.reason),
  status: anyOf(VALUES.status),
  error: anyOf(VALUES.error),
  ...TIMES,
});

export const letterQuerySchema = object({
  ...letterFiltersSchema.entries,
  limit: limitSchema,
  cursor: v.optional(formed("The `next` of the page before", word)),
});

const dryRun = v.optional(flag("True: count only"), false);

/** Named entries, or letters that a dry run has counted. */
export const purgeSchema = component(
  "Purge",
  v.union(
    [
      object({
        ids: list(formed("Id of an entry", { pattern: /^\S{1,1024}$/u, allowed: "an id" }), {
          description: "Ids of entries, of foreign ones too",
          min: 1,
          max: MAX_IDS,
        }),
        dryRun,
      }),
      object({
        filter: letterFilterSchema,
        dryRun: v.literal(true),
        cursor: v.optional(formed("`next` of the dry run before, if that was not null", word)),
      }),
      object({
        filter: letterFilterSchema,
        cursor: formed("`start` of the first dry run; later, `next` of the purge before", word),
        confirm: integer("Number of letters to purge at most: as many as the dry run counted", {
          min: 1,
          max: Number.MAX_SAFE_INTEGER,
        }),
      }),
    ],
    'allowed: { "ids": [ … ] }, { "filter": { … }, "dryRun": true } or { "filter": { … }, "cursor": …, "confirm": … }',
  ),
  { filter: { subscription: "billing", status: "4xx" }, dryRun: true },
);

export type LetterFilterBody = v.InferInput<typeof letterFilterSchema>;
export type PurgeBody = v.InferInput<typeof purgeSchema>;
