// The dry run of a test: what the API takes and shows.

import * as v from "valibot";
import { integer, list, object, text } from "#schema/parts.ts";
import { LITERAL_SUBJECT } from "#delivery/subject.ts";
import { component, exampleOf } from "./component.ts";
import { exchangeSchema } from "./subscription.ts";
import { count, headerPairs, stringView, textOrNull, type ViewOf, word } from "./view.ts";

const dryRun = v.pipe(v.literal(true), v.description("True: nothing is sent"));
const anyText = (description: string) => text(description, { pattern: /^[\s\S]*$/u, allowed: "a string" });

/** A message that is none of the stream. */
export const sample = {
  body: v.optional(anyText("Its body; absent: Relay makes one up")),
  subject: v.optional(
    text("Its subject; absent: one of the subscription's", {
      pattern: LITERAL_SUBJECT,
      allowed: "a NATS subject without wildcards",
    }),
  ),
  headers: v.optional(
    list(object({ name: anyText("Name"), value: anyText("Value") }), {
      description: "Its headers",
      max: 100,
    }),
  ),
};
const sampleSchema = object(sample);

export type SampleBody = v.InferOutput<typeof sampleSchema>;

export const dryRunBodySchema = component(
  "DryRunBody",
  v.union(
    [
      object({
        dryRun,
        sequence: integer("This message of the stream", { min: 1, max: Number.MAX_SAFE_INTEGER }),
      }),
      object({ dryRun, ...sample }),
    ],
    'allowed: { "dryRun": true } with "sequence", or with "body", "subject" and "headers"',
  ),
  { dryRun: true, body: '{"amount":101}', subject: "orders.eu" },
);

export type DryRunBody = v.InferOutput<typeof dryRunBodySchema>;

export const dryRunSchema = component(
  "DryRun",
  v.strictObject({
    result: word("What the message would become", ["request", "filtered", "failed"]),
    error: textOrNull("Which expression failed, and why"),
    message: v.strictObject({
      subject: stringView("Subject"),
      stream: stringView("Stream"),
      sequence: count("Its sequence in the stream; 0: it is none of the stream"),
      webhookId: stringView("The `webhook-id` of its request"),
    }),
    request: v.pipe(
      v.nullable(
        v.strictObject({
          method: stringView("Method of the request"),
          url: stringView("URL of the callback, without secrets"),
          headers: v.pipe(headerPairs, v.description("Name and value of each, in order; secrets are masked")),
          body: stringView("64 KiB at most; bytes that are no UTF-8 are replaced"),
          bodyBytes: count("Size of the body"),
          truncated: v.pipe(v.boolean(), v.description("True: the body is longer")),
        }),
      ),
      v.description("Null: there would be none"),
    ),
  }),
  {
    result: "request",
    error: null,
    message: { subject: "orders.eu", stream: "ORDERS", sequence: 42, webhookId: "msg_ORDERS_42_1a2b3c" },
    request: {
      method: "POST",
      url: "https://billing.example/orders/7",
      headers: [["Content-Type", "application/json"]],
      body: '{"text":"Order 7"}',
      bodyBytes: 18,
      truncated: false,
    },
  },
);

export type DryRunView = ViewOf<typeof dryRunSchema>;

export const testAnswerSchema = component(
  "TestAnswer",
  v.union([exchangeSchema, dryRunSchema]),
  exampleOf(exchangeSchema),
);
