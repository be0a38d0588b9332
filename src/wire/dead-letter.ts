// Dead letters as the API shows them, and the bodies and queries that choose some of them.

import * as v from "valibot";
import { choice, flag, integer, list, moment, object, text as formed } from "#config/schema-parts.ts";
import { LETTER_REASONS } from "#delivery/letter.ts";
import { component, exampleOf } from "./component.ts";
import { limitSchema, statusFilterSchema } from "./query.ts";
import {
  count,
  countOrNull,
  date,
  headerPairs,
  dateOrNull,
  pageSchema,
  text,
  textOrNull,
  type View,
} from "./view.ts";

export const PAYLOAD_ENCODINGS = ["text", "hex", "base64"] as const;

const reasonOrNull = v.pipe(
  v.nullable(v.picklist(LETTER_REASONS)),
  v.description("What the last attempt came to; null: the headers do not tell"),
);

const deadLetterSchema = component(
  "DeadLetter",
  v.strictObject({
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
    continuesAt: dateOrNull("How far back this page looked, where it is cut for its time; null: it is not"),
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
  }),
  {
    at: "2026-01-31T12:00:00.000Z",
    letters: 211,
    foreign: 0,
    byReason: { rejected: 200, "server-error": 1, exception: 10, unknown: 0 },
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
    matched: count("Entries that were meant"),
    purged: count("Of these, entries that are gone now"),
    start: text("`cursor` of a purge that sees nothing newer than this dry run did"),
    next: textOrNull("`cursor` of the call that goes on; null: this one came to the end"),
  }),
  {
    matched: 211,
    purged: 0,
    start: "eyJzZXEiOjQ3MTF9",
    next: null,
  },
);

export type DeadLetterView = View<typeof deadLetterSchema>;
export type DeadLetterPage = View<typeof deadLetterPageSchema>;
export type DeadLetterCounts = View<typeof deadLetterCountsSchema>;
export type DeadLetterDetail = View<typeof deadLetterDetailSchema>;
export type PurgeOutcomeView = View<typeof purgeOutcomeSchema>;
export type PayloadEncoding = (typeof PAYLOAD_ENCODINGS)[number];

const MAX_IDS = 1000;

const some = { pattern: /^[^\p{Cc}]{1,256}$/u, allowed: "1 to 256 characters without control characters" };

const word = { pattern: /^[A-Za-z0-9_-]{1,4096}$/u, allowed: "what an answer gave" };

const FILTERS = {
  subscription: v.optional(formed("Id of the subscription", some)),
  entrypoint: v.optional(formed("Id of the entrypoint", some)),
  application: v.optional(formed("`application` of the subscription", some)),
  reason: v.optional(choice("What the last attempt came to", LETTER_REASONS)),
  status: statusFilterSchema,
  from: v.optional(moment("Dead-lettered then or later, RFC 3339")),
  to: v.optional(moment("Dead-lettered before, RFC 3339")),
  error: v.optional(formed("A part of the error's text, in any case", some)),
};

export const letterFilterSchema = object(FILTERS);

export const letterQuerySchema = object({
  ...FILTERS,
  limit: limitSchema,
  cursor: v.optional(formed("The `next` of the page before", word)),
});

const dryRun = v.optional(flag("True: it is only said what would be purged"), false);

/** Named entries, or letters that a dry run has counted. */
export const purgeSchema = component(
  "Purge",
  v.union(
    [
      object({
        ids: list(formed("Of a list", { pattern: /^\S{1,1024}$/u, allowed: "an id" }), {
          description: "Of entries, letters or not",
          min: 1,
          max: MAX_IDS,
        }),
        dryRun,
      }),
      object({
        filter: letterFilterSchema,
        dryRun: v.literal(true),
        cursor: v.optional(formed("`next` of the dry run before, where that did not get to the end", word)),
      }),
      object({
        filter: letterFilterSchema,
        cursor: formed("`start` of the first dry run, later `next` of the purge before", word),
        confirm: integer("How many letters are to be purged at most: as many as were counted", {
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
