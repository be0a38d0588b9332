// Subscriptions as the API shows them and takes commands for them, applications, and the test of a callback.

import * as v from "valibot";
import { choice, flag, integer, calendarTime, object } from "#schema/parts.ts";
import { component } from "./component.ts";
import {
  count,
  countOrNull,
  date,
  headerPairs,
  dateOrNull,
  stringView,
  textOrNull,
  texts,
  type ViewOf,
  word,
  namedPage,
} from "./view.ts";

export const SUBSCRIPTION_STATES = [
  "running",
  "waiting",
  "failed",
  "paused",
  "stopped",
  "scheduled",
  "closed",
] as const;

/** Why somebody should look at a subscription, the worst first. */
export const TROUBLES = ["failure", "waiting", "success-rate", "lag"] as const;

export const subscriptionViewSchema = component(
  "Subscription",
  v.strictObject({
    id: stringView("Id of the subscription"),
    origin: word("Where it is defined; `file`: read-only in the API", ["file", "api"]),
    revision: countOrNull("Revision of its definition; null: it is defined in the file"),
    application: textOrNull("Application that it belongs to"),
    entrypoint: stringView("Id of its entrypoint"),
    qos: word("Quality of service", ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"]),
    callbackUrl: stringView("URL of the callback, without secrets"),
    status: word("Set by its operator; `CLOSED`: its `endingAt` is over", ["ACCEPTED", "PAUSED", "CLOSED"]),
    consumerStatus: word("Set by its consumer; `FAILURE`: a delivery interrupted it", [
      "STARTED",
      "STOPPED",
      "FAILURE",
    ]),
    failureCause: textOrNull("Why it was interrupted"),
    failedAt: dateOrNull("When it was interrupted"),
    state: word("What this relay does with it now", SUBSCRIPTION_STATES),
    reason: textOrNull("Why it is waiting, paused, stopped or scheduled"),
    trouble: v.pipe(
      v.nullable(
        v.strictObject({
          kind: word(
            "`failure`: it failed; `waiting`: it cannot run; `success-rate`: over 10 % of the attempts of the last 5 minutes failed; `lag`: it falls behind its stream",
            TROUBLES,
          ),
          text: stringView("One line for people"),
        }),
      ),
      v.description("Why somebody should look at it; null: there is no reason"),
    ),
    notStored: textOrNull(
      "Why a command is not stored yet: it is in effect on this relay, which stores it as soon as it can; null: all are stored",
    ),
    startingAt: dateOrNull("It runs from this time on"),
    endingAt: dateOrNull("It runs until this time"),
    source: v.strictObject({
      domain: textOrNull("JetStream domain of the stream"),
      stream: stringView("The stream"),
      consumer: stringView("Name of its durable consumer"),
      subjects: texts("Filter subjects; empty: all subjects of the stream"),
    }),
    active: v.pipe(
      v.nullable(
        v.strictObject({
          host: stringView("Name of the host: `host.name`"),
          since: date("When it became active"),
        }),
      ),
      v.description("The relay that delivers an ordered subscription; null: not ordered, or not known"),
    ),
    oneByOne: textOrNull(
      "Why an ordered subscription delivers one message at a time only: without the bucket nobody says which relay is active; null: it does not",
    ),
    held: count("Messages that this relay has received and not settled"),
    inFlight: count("Requests in flight"),
    maxInFlight: count(
      "Requests at a time that the callback gets at present; fewer than its limit after an interruption or a refusal",
    ),
    maxPerSecond: v.pipe(
      v.nullable(v.number()),
      v.description(
        "Requests a second that the callback gets at present, by its rate limit or because it refused more; null: no limit",
      ),
    ),
    retrying: count("Messages that wait for a retry"),
    nextTryAt: dateOrNull(
      "When it sends something again: its probe, its first retry, or what waits for the end of a `Retry-After`; null: it waits for none of these",
    ),
    parkedKeys: count("Keys that are parked here"),
    parkedMessages: count("Messages of parked keys that wait here"),
    oldestHeldSeconds: v.pipe(
      v.number(),
      v.minValue(0),
      v.description("Age of the oldest message that is not settled; 0: there is none"),
    ),
    pending: countOrNull("Messages in the stream not delivered to a relay yet; null: not known"),
    ackPending: countOrNull("Messages delivered to a relay and not acknowledged yet; null: not known"),
  }),
  {
    id: "billing",
    origin: "api",
    revision: 7,
    application: "shop",
    entrypoint: "webhook",
    qos: "AUTO",
    callbackUrl: "https://billing.example/orders",
    status: "ACCEPTED",
    consumerStatus: "STARTED",
    failureCause: null,
    failedAt: null,
    state: "running",
    reason: null,
    trouble: null,
    notStored: null,
    startingAt: null,
    endingAt: null,
    source: { domain: null, stream: "ORDERS", consumer: "relay-billing", subjects: ["orders.>"] },
    active: null,
    oneByOne: null,
    held: 3,
    inFlight: 2,
    maxInFlight: 5,
    maxPerSecond: null,
    retrying: 1,
    nextTryAt: "2026-01-31T12:00:40.000Z",
    parkedKeys: 0,
    parkedMessages: 0,
    oldestHeldSeconds: 4.2,
    pending: 17,
    ackPending: 3,
  },
);

export type SubscriptionView = ViewOf<typeof subscriptionViewSchema>;

export const subscriptionPageSchema = namedPage("SubscriptionPage", subscriptionViewSchema);

export const applicationSchema = component(
  "Application",
  v.strictObject({
    application: stringView(
      "Name of the application: `application` of its subscriptions, `sub` of its tokens",
    ),
    status: word("`PAUSED`: none of its subscriptions runs, future ones included", ["ACCEPTED", "PAUSED"]),
    pausedAt: dateOrNull("When it was paused; null: it is not paused"),
    subscriptions: count("Number of its subscriptions"),
    notStored: textOrNull("Why a command is not stored yet; null: all are stored"),
  }),
  {
    application: "shop",
    status: "PAUSED",
    pausedAt: "2026-01-31T12:00:00.000Z",
    subscriptions: 2,
    notStored: null,
  },
);

export type Application = ViewOf<typeof applicationSchema>;

export const applicationPageSchema = namedPage("ApplicationPage", applicationSchema);

export const resumeBodySchema = component(
  "ResumeBody",
  object({
    skip: v.optional(
      flag("True: acknowledge the message that caused the failure, and do not send it again"),
      false,
    ),
  }),
  { skip: true },
);

export type ResumeBody = v.InferInput<typeof resumeBodySchema>;

const time = calendarTime("From the first message stored at this time or later, RFC 3339");

/** Where the subscription goes on. */
export const seekSchema = component(
  "SeekBody",
  v.union(
    [
      object({
        to: choice(
          "`all`: from the first message of the stream; `new`: messages from now on; `last`: from the last message",
          ["all", "new", "last"],
        ),
      }),
      object({
        sequence: integer("From this message of the stream", { min: 1, max: Number.MAX_SAFE_INTEGER }),
      }),
      object({ time }),
    ],
    'allowed: { "to": "all", "new" or "last" }, { "sequence": 1 } or { "time": "2026-01-31T12:00:00Z" }',
  ),
  { time: "2026-01-31T12:00:00Z" },
);

export type SeekBody = v.InferInput<typeof seekSchema>;

export const seekPreviewSchema = component(
  "SeekPreview",
  v.strictObject({
    position: countOrNull("Sequence of the first message that is not done; null: not known"),
    sequence: countOrNull("Sequence from which it would go on; null: not known"),
    lastSequence: count("Sequence of the last message of the stream; 0: it never had one"),
    waiting: countOrNull("Messages that it delivers without the seek; null: not known"),
    afterwards: countOrNull("Messages that it would deliver after the seek; null: not known"),
    changes: v.pipe(v.boolean(), v.description("False: it delivers the same messages without the seek")),
    effect: stringView("What the seek would do, for people"),
  }),
  {
    position: 2701,
    sequence: 101,
    lastSequence: 2712,
    waiting: 12,
    afterwards: 2612,
    changes: true,
    effect: "about 2,600 messages are sent again",
  },
);

export type SeekPreviewView = ViewOf<typeof seekPreviewSchema>;

const headers = v.pipe(headerPairs, v.description("Name and value of each, in order"));

export const exchangeSchema = component(
  "Exchange",
  v.strictObject({
    outcome: word("How the attempt counts", [
      "delivered",
      "rejected",
      "server-error",
      "exception",
      "expression",
    ]),
    status: count("Status of the response; 0: there was none"),
    error: textOrNull("What went wrong, if there was no response"),
    date: date("When it began"),
    durationMs: v.pipe(v.number(), v.minValue(0), v.description("Duration in milliseconds")),
    request: v.strictObject({
      method: stringView("Method of the request"),
      url: stringView("URL of the callback, without secrets"),
      headers,
    }),
    response: v.pipe(
      v.nullable(
        v.strictObject({
          headers,
          body: stringView("64 KiB at most; bytes that are no UTF-8 are replaced"),
          truncated: v.pipe(v.boolean(), v.description("True: the body was longer")),
        }),
      ),
      v.description("Null: there was none, or the caller may not see it"),
    ),
  }),
  {
    outcome: "rejected",
    status: 422,
    error: null,
    date: "2026-01-31T12:00:00.000Z",
    durationMs: 12.5,
    request: {
      method: "POST",
      url: "https://billing.example/orders",
      headers: [
        ["content-type", "application/json"],
        ["x-relay-test", "true"],
      ],
    },
    response: { headers: [["content-type", "text/plain"]], body: "unknown customer", truncated: false },
  },
);

export type ExchangeView = ViewOf<typeof exchangeSchema>;
