// Replays of dead letters as the API takes and shows them.

import * as v from "valibot";
import { calendarTime, flag, id, integer, list, object, text as formed } from "#schema/parts.ts";
import { parseWebhookId } from "#delivery/message.ts";
import { component, exampleOf } from "./component.ts";
import { letterFilterSchema } from "./dead-letter.ts";
import {
  count,
  countOrNull,
  date,
  dateOrNull,
  stringView,
  textOrNull,
  texts,
  type ViewOf,
  word,
  namedPage,
} from "./view.ts";

const MAX_IDS = 1000;

/** A record is to fit into the bucket. */
const MAX_IDS_LENGTH = 200_000;

/** Named letters, or those that meet a filter, which may be empty. */
export const replayRequestSchema = component(
  "ReplayRequest",
  v.pipe(
    object({
      filter: v.optional(letterFilterSchema),
      ids: v.optional(
        v.pipe(
          list(formed("Id of a letter", { pattern: /^\S{1,1024}$/u, allowed: "an id" }), {
            description: "Ids of letters, instead of a filter",
            min: 1,
            max: MAX_IDS,
          }),
          v.check(
            (ids) => ids.join().length <= MAX_IDS_LENGTH,
            `allowed: ${MAX_IDS_LENGTH} characters in all`,
          ),
        ),
      ),
      to: v.optional(id("Subscription to send them to; without it, each goes to its own")),
      rate: v.optional(integer("Letters per second at most", { min: 1, max: 10_000 })),
      concurrency: v.optional(
        integer("Letters at once, up to as many as the subscription has connections", { min: 1, max: 20 }),
      ),
      max: v.optional(integer("Letters in all at most", { min: 1, max: Number.MAX_SAFE_INTEGER })),
      force: v.optional(
        flag("True: also letters that may have reached the callback of an `AT_MOST_ONCE` subscription"),
        false,
      ),
      dryRun: v.optional(flag("True: count only"), false),
    }),
    v.check(
      ({ filter, ids }) => (filter === undefined) !== (ids === undefined),
      'allowed: either "filter" or "ids"',
    ),
  ),
  {
    filter: { subscription: "billing", from: "2026-01-31T10:00:00Z" },
    rate: 50,
  },
);

const sequence = (description: string) => integer(description, { min: 1, max: Number.MAX_SAFE_INTEGER });

/** Exactly one of the first four says which messages. */
export const resendRequestSchema = component(
  "ResendRequest",
  v.pipe(
    object({
      sequence: v.optional(sequence("The message with this sequence in the stream")),
      webhookId: v.optional(
        v.pipe(
          v.string(),
          v.check(
            (text) => parseWebhookId(text) !== null,
            "allowed: a webhook-id such as msg_ORDERS_4711_cwyvpeni7w9h",
          ),
          v.description("The message with this `webhook-id`"),
        ),
      ),
      sequences: v.optional(
        v.pipe(
          object({
            from: sequence("First sequence"),
            to: v.optional(sequence("Last sequence; without it, the last message that the stream has now")),
          }),
          v.check(({ from, to = from }) => to >= from, "allowed: a `to` that is not before `from`"),
          v.description("The messages with these sequences, both included"),
        ),
      ),
      times: v.optional(
        v.pipe(
          object({
            from: calendarTime("Stored at this time or later, RFC 3339"),
            to: v.optional(calendarTime("Stored before this time; without it, until now")),
          }),
          v.check(
            ({ from, to = from }) => Date.parse(to) >= Date.parse(from),
            "allowed: a `to` that is not before `from`",
          ),
          v.description("The messages that the stream stored in this time"),
        ),
      ),
      rate: v.optional(integer("Messages per second at most", { min: 1, max: 10_000 })),
      concurrency: v.optional(
        integer("Messages at once, up to as many as the subscription has connections", { min: 1, max: 20 }),
      ),
      dryRun: v.optional(flag("True: count only"), false),
    }),
    v.check(
      ({ sequence: one, webhookId, sequences, times }) =>
        [one, webhookId, sequences, times].filter((given) => given !== undefined).length === 1,
      'allowed: exactly one of "sequence", "webhookId", "sequences" and "times"',
    ),
  ),
  { webhookId: "msg_ORDERS_4711_cwyvpeni7w9h" },
);

export type ResendBody = v.InferInput<typeof resendRequestSchema>;
export type ReplayBody = v.InferInput<typeof replayRequestSchema>;

export const replaySchema = component(
  "Replay",
  v.strictObject({
    id: stringView("Id of the replay"),
    state: word("`paused`: it can be resumed; `failed`: it stopped by itself", [
      "running",
      "paused",
      "stopped",
      "done",
      "failed",
    ]),
    reason: textOrNull("Why it failed"),
    isScheduled: v.pipe(v.boolean(), v.description("True: `dlq.replay` started it")),
    dryRun: v.pipe(v.boolean(), v.description("True: it only counts")),
    source: word("`stream`: messages of the stream of `subscription`, once more", ["dead-letters", "stream"]),
    sequences: v.pipe(
      v.nullable(v.strictObject({ from: count("First"), to: count("Last") })),
      v.description("Of a resend by sequence; null: not known yet, or another replay"),
    ),
    times: v.pipe(
      v.nullable(
        v.strictObject({ from: stringView("From then on"), to: textOrNull("Before then; null: until now") }),
      ),
      v.description("Of a resend by time; null: another replay"),
    ),
    subscription: textOrNull(
      "Subscription whose letters or messages it sends; null: of all, or those of `ids`",
    ),
    ids: countOrNull("Number of letters that were named; null: it has a filter"),
    to: textOrNull("Subscription that they are sent to; null: each to its own"),
    startedAt: date("When it was asked for"),
    endedAt: dateOrNull("When it ended"),
    relay: textOrNull("Relay that worked on it last; null: none did, or it is not for this caller"),
    delivered: count("Letters that were delivered, and removed; messages that were delivered once more"),
    failed: count("Letters that failed again, and stay; messages that were not delivered"),
    matching: count("Letters or messages that a dry run counted"),
    skipped: v.strictObject({
      foreign: count("Entries that Relay did not provably write"),
      exhausted: count("Letters that were replayed as often as the schedule allows"),
      needsForce: count("Letters that may have reached the callback of an `AT_MOST_ONCE` subscription"),
      noSubscription: count("Letters whose subscription does not exist or is closed"),
      excluded: count(
        "Messages that the subscription does not take: by its filter, or named and of another subject",
      ),
      gone: count(
        "Letters that do not exist, or were delivered, replaced or purged in the meantime; messages that the stream does not have any more",
      ),
    }),
  }),
  {
    id: "3f2a91c0",
    state: "running",
    reason: null,
    isScheduled: false,
    dryRun: false,
    source: "dead-letters",
    sequences: null,
    times: null,
    subscription: "billing",
    ids: null,
    to: null,
    startedAt: "2026-01-31T12:00:00.000Z",
    endedAt: null,
    relay: "edge-7",
    delivered: 25,
    failed: 1,
    matching: 0,
    skipped: { foreign: 0, exhausted: 0, needsForce: 0, noSubscription: 0, gone: 0, excluded: 0 },
  },
);

export const startedReplaySchema = component(
  "StartedReplay",
  v.strictObject({
    ...replaySchema.entries,
    warnings: texts("Warnings about this replay"),
  }),
  {
    ...exampleOf(replaySchema),
    warnings: ["Replayed messages arrive out of order with live ones"],
  },
);

export const replayPageSchema = namedPage("ReplayPage", replaySchema);

export type ReplayView = ViewOf<typeof replaySchema>;
export type StartedReplayView = ViewOf<typeof startedReplaySchema>;
