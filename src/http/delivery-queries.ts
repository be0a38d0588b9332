// Which records a request means: the filters of its query.

import * as v from "valibot";
import { choice, moment, object, text } from "#config/schema-parts.ts";
import { parseStatusFilter } from "#delivery/letter.ts";
import type { RecordFilter } from "#delivery/record.ts";

const MAX_LIMIT = 1000;
const DEFAULT_LIMIT = 100;

const some = { pattern: /^[^\p{Cc}]{1,2048}$/u, allowed: "1 to 2048 characters without control characters" };
const limitAllowed = `allowed: a whole number from 1 to ${MAX_LIMIT}`;

const FILTERS = {
  status: v.optional(
    text("Status of the last response: `404`, `4xx`, or `0` for none", {
      pattern: /^(?:0|[1-9](?:\d\d|[xX]{2}))$/u,
      allowed: "a status such as 404, a class such as 4xx, or 0",
    }),
  ),
  callbackUrl: v.optional(text("A part of the callback URL", some)),
  application: v.optional(text("`application` of the subscription", some)),
  subscription: v.optional(text("Id of the subscription", some)),
  entrypoint: v.optional(text("Id of the entrypoint", some)),
  from: v.optional(moment("First attempted then or later, RFC 3339")),
  to: v.optional(moment("First attempted before, RFC 3339")),
};

export const deliveryFilterSchema = object(FILTERS);

export const deliveryQuerySchema = object({
  ...FILTERS,
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,4}$/u, limitAllowed),
      v.transform(Number),
      v.minValue(1, limitAllowed),
      v.maxValue(MAX_LIMIT, limitAllowed),
    ),
    String(DEFAULT_LIMIT),
  ),
  cursor: v.optional(
    text("The `next` of the page before", { pattern: /^\d{1,16}$/u, allowed: "the next of the page before" }),
  ),
});

export const exportQuerySchema = object({
  ...FILTERS,
  format: v.optional(choice("`jsonl` or `csv`", ["jsonl", "csv"]), "jsonl"),
});

export function toRecordFilter(given: v.InferOutput<typeof deliveryFilterSchema>): RecordFilter {
  const { status, from, to } = given;
  return {
    status: status === undefined ? null : parseStatusFilter(status),
    callbackUrl: given.callbackUrl ?? null,
    application: given.application ?? null,
    subscription: given.subscription ?? null,
    entrypoint: given.entrypoint ?? null,
    from: from === undefined ? null : new Date(from),
    to: to === undefined ? null : new Date(to),
  };
}
