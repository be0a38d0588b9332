// Records of the delivery log as the API shows them, and the queries that choose some of them.

import * as v from "valibot";
import { choice, calendarTime, object, text as formed } from "#schema/parts.ts";
import { parseWebhookId } from "#delivery/message.ts";
import { SUBJECT_FILTER } from "#delivery/subject.ts";
import { component, exampleOf } from "./component.ts";
import { anyOf, limitSchema, statusFiltersSchema } from "./query.ts";
import { count, date, headerPairs, stringView, textOrNull, type ViewOf, word, pageSchema } from "./view.ts";

const duration = (description: string) => v.pipe(v.number(), v.minValue(0), v.description(description));

const status = count("Status of the response; 0: there was none");

const attempt = v.strictObject({
  date: date("When it began"),
  status,
  durationMs: duration("Duration in milliseconds"),
  error: textOrNull("What went wrong, if there was no response"),
});

const capture = (description: string) =>
  v.pipe(
    v.nullable(
      v.strictObject({
        headers: v.pipe(
          v.nullable(headerPairs),
          v.description("Name and value of each, in order; null: not recorded"),
        ),
        body: textOrNull("64 KiB at most; null: not recorded"),
        encoding: word("Encoding of `body`: base64 if it is not UTF-8", ["text", "base64"]),
        truncated: v.pipe(v.boolean(), v.description("True: the body was longer")),
      }),
    ),
    v.description(`${description}; null: not recorded`),
  );

export const deliverySchema = component(
  "Delivery",
  v.strictObject({
    id: stringView("Id of the record; newer records have higher ids"),
    date: date("When the first attempt began"),
    host: stringView("Name of the host whose relay sent it"),
    entrypoint: stringView("Entrypoint of the subscription"),
    subscription: stringView("Id of the subscription"),
    application: textOrNull("Application of the subscription"),
    method: stringView("Method of the request"),
    callbackUrl: stringView("URL of the callback, without secrets"),
    webhookId: stringView("`webhook-id` of the message"),
    stream: stringView("Stream of the message"),
    sequence: count("Sequence of the message in its stream"),
    subject: stringView("Subject of the message"),
    status,
    durationMs: duration("Duration of the last attempt in milliseconds"),
    attempts: v.pipe(v.array(attempt), v.description("The newest 100 attempts; empty: nothing was sent")),
    error: textOrNull("Error of the last attempt; null: it was delivered"),
    deadLetterId: textOrNull("Id of its dead letter; null: it is none"),
  }),
  {
    id: "4711",
    date: "2026-01-31T12:00:00.000Z",
    host: "edge-7",
    entrypoint: "webhook",
    subscription: "billing",
    application: "shop",
    method: "POST",
    callbackUrl: "https://billing.example/orders",
    webhookId: "msg_ORDERS_4711_cwyvpeni7w9h",
    stream: "ORDERS",
    sequence: 4711,
    subject: "orders.created",
    status: 503,
    durationMs: 12.5,
    attempts: [{ date: "2026-01-31T12:00:00.000Z", status: 503, durationMs: 12.5, error: null }],
    error: "Callback answered 503",
    deadLetterId: "billing.ORDERS.4711-cwyvpeni7w9h",
  },
);

export const deliveryPageSchema = component(
  "DeliveryPage",
  v.strictObject({
    ...pageSchema(deliverySchema).entries,
    leftOut: count(
      "Deliveries that meet the filters and that sampling did not record; with `webhookId`, `sequence` or `subject`: at most",
    ),
  }),
  { items: [exampleOf(deliverySchema)], next: null, leftOut: 0 },
);

export const deliveryDetailSchema = component(
  "DeliveryDetail",
  v.strictObject({
    ...deliverySchema.entries,
    request: capture("The request of the last attempt"),
    response: capture("Its response"),
  }),
  {
    ...exampleOf(deliverySchema),
    request: {
      headers: [["content-type", "application/json"]],
      body: '{"order":1}',
      encoding: "text",
      truncated: false,
    },
    response: null,
  },
);

export type DeliveryView = ViewOf<typeof deliverySchema>;
export type DeliveryPage = ViewOf<typeof deliveryPageSchema>;
export type DeliveryDetail = ViewOf<typeof deliveryDetailSchema>;
export type AttemptView = DeliveryView["attempts"][number];
export type CaptureView = NonNullable<DeliveryDetail["request"]>;
export type DeliveryFilterQuery = v.InferInput<typeof deliveryFilterSchema>;

const some = { pattern: /^[^\p{Cc}]{1,2048}$/u, allowed: "1 to 2048 characters without control characters" };

const webhookId = v.pipe(
  v.string(),
  v.check(
    (text) => parseWebhookId(text) !== null,
    "allowed: a webhook-id such as msg_ORDERS_4711_cwyvpeni7w9h",
  ),
  v.description("`webhook-id` of the message"),
);
const sequence = formed("Sequence of the message in its stream", {
  pattern: /^[1-9]\d{0,14}$/u,
  allowed: "a sequence of a stream, from 1",
});
const subject = formed("Subject of the message, or a NATS filter such as `orders.*.>`", {
  pattern: SUBJECT_FILTER,
  allowed: "a NATS subject, or a filter such as orders.*.>",
});

const FILTERS = {
  status: statusFiltersSchema,
  callbackUrl: anyOf(formed("Part of the callback URL", some)),
  application: anyOf(formed("`application` of the subscription", some)),
  subscription: anyOf(formed("Id of the subscription", some)),
  entrypoint: anyOf(formed("Id of the entrypoint", some)),
  webhookId: anyOf(webhookId),
  sequence: anyOf(sequence),
  subject: anyOf(subject),
  from: v.optional(calendarTime("First attempted at this time or later, RFC 3339")),
  to: v.optional(calendarTime("First attempted before this time, RFC 3339")),
};

export const deliveryFilterSchema = object(FILTERS);

export const deliveryQuerySchema = object({
  ...FILTERS,
  limit: limitSchema,
  cursor: v.optional(
    formed("The `next` of the page before", {
      pattern: /^\d{1,16}$/u,
      allowed: "the next of the page before",
    }),
  ),
});

export const exportQuerySchema = object({
  ...FILTERS,
  format: v.optional(
    choice("`jsonl`: all fields; `csv`: without headers and bodies", ["jsonl", "csv"]),
    "jsonl",
  ),
});
