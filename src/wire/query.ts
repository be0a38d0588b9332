// Parts that several queries of the API have: the page that is wanted, and the status of a response.

import * as v from "valibot";
import { list, text } from "#schema/parts.ts";

const MAX_LIMIT = 1000;
const DEFAULT_LIMIT = 100;

const limitAllowed = `allowed: a whole number from 1 to ${MAX_LIMIT}`;

/** `limit` as it stands in a query: a string that holds a number. */
export const limitSchema = v.optional(
  v.pipe(
    v.string(),
    v.regex(/^\d{1,4}$/u, limitAllowed),
    v.transform(Number),
    v.minValue(1, limitAllowed),
    v.maxValue(MAX_LIMIT, limitAllowed),
  ),
  String(DEFAULT_LIMIT),
);

/** As the document has them. */
export const PAGE_PARAMETERS = {
  limit: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(MAX_LIMIT),
      v.description("Number of items at most"),
    ),
    DEFAULT_LIMIT,
  ),
  cursor: v.optional(v.pipe(v.string(), v.description("The `next` of the page before"))),
};

export const statusFilterSchema = text("Status of the last response: `404`, `4xx`, or `0` for no response", {
  pattern: /^(?:0|[1-9]\d\d|[1-5][xX]{2})$/u,
  allowed: "a status such as 404, a class such as 4xx (1xx to 5xx), or 0",
});

const MAX_VALUES = 100;

/** A filter of a list that may be given several times: any of its values. */
export function anyOf<const Item extends v.GenericSchema>(item: Item) {
  const { description = "" } = v.getMetadata(item) as { readonly description?: string };
  return v.optional(
    list(item, { description: `${description}; several: any of them`, min: 1, max: MAX_VALUES }),
  );
}

/** The same in a body: one value, or a list of them. */
export function oneOrAnyOf<const Item extends v.GenericSchema<string, string>>(item: Item) {
  const { description = "" } = v.getMetadata(item) as { readonly description?: string };
  const many = list(item, { description, min: 1, max: MAX_VALUES });
  const either = v.union([item, many]);
  /** Faults of a list name its entry, those of a union only the whole. */
  const schema: typeof either = {
    ...either,
    "~run": (dataset, config) =>
      Array.isArray(dataset.value) ? many["~run"](dataset, config) : item["~run"](dataset, config),
  };
  return v.optional(v.pipe(schema, v.description(`${description}; a list: any of them`)));
}

export const statusFiltersSchema = anyOf(statusFilterSchema);
