// Subscriptions as the API shows them and takes commands for them, applications, and the test of a callback.

import * as v from "valibot";
import { choice, flag, integer, moment, object } from "#config/schema-parts.ts";
import { component } from "./component.ts";
import {
  count,
  countOrNull,
  date,
  headerPairs,
  dateOrNull,
  text,
  textOrNull,
  texts,
  type View,
  word,
  namedPage,
} from "./view.ts";

export const subscriptionViewSchema = component(
  "Subscription",
  v.strictObject({
    id: text("Of the subscription"),
    origin: word("`file`: read-only here", ["file", "api"]),
    revision: countOrNull("Of its definition; null: it stands in the file"),
    application: textOrNull("Whose subscription it is"),
    entrypoint: text("Id of its entrypoint"),
    qos: word("Quality of service", ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"]),
    callbackUrl: text("As it may be shown"),
    status: word("What its operator wants; `CLOSED`: its time is over", ["ACCEPTED", "PAUSED", "CLOSED"]),
    consumerStatus: word("What its consumer wants; `FAILURE`: it was interrupted", [
      "STARTED",
      "STOPPED",
      "FAILURE",
    ]),
    failureCause: textOrNull("Why it was interrupted"),
    failedAt: dateOrNull("When it was interrupted"),
    state: word("What this relay does for it just now", [
      "asleep",
      "waiting",
      "consuming",
      "failed",
      "closed",
      "stopped",
    ]),
    reason: textOrNull("Why it waits, or is asleep"),
    notStored: textOrNull(
      "Why a command that this relay was given is not stored yet: it counts here, and is stored as soon as it can be; null: all are stored",
    ),
    startingAt: dateOrNull("It runs from this time on"),
    endingAt: dateOrNull("It runs until this time"),
    source: v.strictObject({
      domain: textOrNull("JetStream domain of the stream"),
      stream: text("The stream"),
      consumer: text("Its durable"),
      subjects: texts("Filters; empty: all of the stream"),
    }),
    held: count("Messages that this relay has of it"),
    inFlight: count("Requests under way"),
    retrying: count("Messages that wait for their retry"),
    oldestHeldSeconds: v.pipe(
      v.number(),
      v.minValue(0),
      v.description("Age of what is held the longest; 0: nothing is"),
    ),
    pending: countOrNull("Not delivered yet; null: not known"),
    ackPending: countOrNull("Delivered, but not settled; null: not known"),
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
    state: "consuming",
    reason: null,
    notStored: null,
    startingAt: null,
    endingAt: null,
    source: { domain: null, stream: "ORDERS", consumer: "relay-billing", subjects: ["orders.>"] },
    held: 3,
    inFlight: 2,
    retrying: 1,
    oldestHeldSeconds: 4.2,
    pending: 17,
    ackPending: 3,
  },
);

export type SubscriptionView = View<typeof subscriptionViewSchema>;

export const subscriptionPageSchema = namedPage("SubscriptionPage", subscriptionViewSchema);

export const applicationSchema = component(
  "Application",
  v.strictObject({
    application: text("Its name, which its subscriptions have, and its tokens as `sub`"),
    status: word("`PAUSED`: none of its subscriptions runs, those that it makes meanwhile included", [
      "ACCEPTED",
      "PAUSED",
    ]),
    pausedAt: dateOrNull("Since when; null: it is not paused"),
    subscriptions: count("How many it has"),
    notStored: textOrNull("Why a command that this relay was given is not stored yet; null: all are stored"),
  }),
  {
    application: "shop",
    status: "PAUSED",
    pausedAt: "2026-01-31T12:00:00.000Z",
    subscriptions: 2,
    notStored: null,
  },
);

export type Application = View<typeof applicationSchema>;

export const applicationPageSchema = namedPage("ApplicationPage", applicationSchema);

export const resumeSchema = component(
  "ResumeBody",
  object({
    skip: v.optional(
      flag("True: the message that caused the failure is acknowledged, not sent again"),
      false,
    ),
  }),
  { skip: true },
);

export type ResumeBody = v.InferInput<typeof resumeSchema>;

const time = moment("The first message that was stored then or later, RFC 3339");

/** Where the subscription goes on. */
export const seekSchema = component(
  "SeekBody",
  v.union(
    [
      object({
        to: choice("The first message that the stream has, what comes from now on, or the last one", [
          "all",
          "new",
          "last",
        ]),
      }),
      object({ sequence: integer("This message of the stream", { min: 1, max: Number.MAX_SAFE_INTEGER }) }),
      object({ time }),
    ],
    'allowed: { "to": "all", "new" or "last" }, { "sequence": 1 } or { "time": "2026-01-31T12:00:00Z" }',
  ),
  { time: "2026-01-31T12:00:00Z" },
);

export type SeekBody = v.InferInput<typeof seekSchema>;

const headers = v.pipe(headerPairs, v.description("Name and value of each, in order"));

export const exchangeSchema = component(
  "Exchange",
  v.strictObject({
    outcome: word("What it means", ["delivered", "rejected", "server-error", "exception"]),
    status: count("0: there was no response"),
    error: textOrNull("Of an exception"),
    date: date("When it began"),
    durationMs: v.pipe(v.number(), v.minValue(0), v.description("In milliseconds")),
    request: v.strictObject({
      method: text("Of the request"),
      url: text("As it may be shown"),
      headers,
    }),
    response: v.pipe(
      v.nullable(
        v.strictObject({
          headers,
          body: text("64 KiB at most; bytes that are no UTF-8 are replaced"),
          truncated: v.pipe(v.boolean(), v.description("There was more of the body")),
        }),
      ),
      v.description("null: there was none, or the caller may not see it"),
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

export type ExchangeView = View<typeof exchangeSchema>;
