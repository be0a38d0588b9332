// Which dead letters a request means: the filters of a query or a body, and how a purge is asked for.

import * as v from "valibot";
import { choice, flag, integer, list, moment, object, text } from "#config/schema-parts.ts";
import { EVERY_LETTER, LETTER_REASONS, type LetterFilter, parseStatusFilter } from "#delivery/letter.ts";
import type { Problem } from "./problem.ts";

const MAX_LIMIT = 1000;
const DEFAULT_LIMIT = 100;
const MAX_IDS = 1000;

const some = { pattern: /^[^\p{Cc}]{1,256}$/u, allowed: "1 to 256 characters without control characters" };
const word = { pattern: /^[A-Za-z0-9_-]{1,4096}$/u, allowed: "what an answer gave" };

const FILTERS = {
  subscription: v.optional(text("Id of the subscription", some)),
  entrypoint: v.optional(text("Id of the entrypoint", some)),
  application: v.optional(text("`application` of the subscription", some)),
  reason: v.optional(choice("What the last attempt came to", LETTER_REASONS)),
  status: v.optional(
    text("Status of the last response: `404`, `4xx`, or `0` for none", {
      pattern: /^(?:0|[1-9](?:\d\d|[xX]{2}))$/u,
      allowed: "a status such as 404, a class such as 4xx, or 0",
    }),
  ),
  from: v.optional(moment("Dead-lettered then or later, RFC 3339")),
  to: v.optional(moment("Dead-lettered before, RFC 3339")),
  error: v.optional(text("A part of the error's text, in any case", some)),
};

export const letterFilterSchema = object(FILTERS);

export const letterQuerySchema = object({
  ...FILTERS,
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,4}$/u, `allowed: a whole number from 1 to ${MAX_LIMIT}`),
      v.transform(Number),
      v.minValue(1, `allowed: a whole number from 1 to ${MAX_LIMIT}`),
      v.maxValue(MAX_LIMIT, `allowed: a whole number from 1 to ${MAX_LIMIT}`),
    ),
    String(DEFAULT_LIMIT),
  ),
  cursor: v.optional(text("The `next` of the page before", word)),
});

const dryRun = v.optional(flag("True: it is only said what would be purged"), false);

/** Named entries, or letters that a dry run has counted. */
export const purgeSchema = v.union(
  [
    object({
      ids: list(text("Of a list", { pattern: /^\S{1,1024}$/u, allowed: "an id" }), {
        description: "Of entries, letters or not",
        min: 1,
        max: MAX_IDS,
      }),
      dryRun,
    }),
    object({
      filter: letterFilterSchema,
      dryRun: v.literal(true),
      cursor: v.optional(text("`next` of the dry run before, where that did not get to the end", word)),
    }),
    object({
      filter: letterFilterSchema,
      cursor: text("`start` of the first dry run, later `next` of the purge before", word),
      confirm: integer("How many letters are to be purged at most: as many as were counted", {
        min: 1,
        max: Number.MAX_SAFE_INTEGER,
      }),
    }),
  ],
  'allowed: { "ids": [ … ] }, { "filter": { … }, "dryRun": true } or { "filter": { … }, "cursor": …, "confirm": … }',
);

export function toLetterFilter(given: v.InferOutput<typeof letterFilterSchema>): LetterFilter {
  const { status, from, to } = given;
  return {
    ...EVERY_LETTER,
    subscription: given.subscription ?? null,
    entrypoint: given.entrypoint ?? null,
    application: given.application ?? null,
    reason: given.reason ?? null,
    error: given.error ?? null,
    status: status === undefined ? null : parseStatusFilter(status),
    from: from === undefined ? null : new Date(from),
    to: to === undefined ? null : new Date(to),
  };
}

/** Of several forms that a body may have, what is wrong inside its parts says more than what it is not. */
export function toFaults(
  issues: readonly v.BaseIssue<unknown>[],
): Required<Pick<Problem, "detail" | "errors">> {
  const inner = issues.flatMap((issue) => issue.issues ?? []).filter(({ path = [] }) => path.length > 1);
  const errors = new Map(
    (inner.length > 0 ? inner : issues).map((issue) => {
      const path = v.getDotPath(issue) ?? "";
      return [`${path} ${issue.message}`, { path, message: issue.message }];
    }),
  );
  return { detail: "The request has faults", errors: [...errors.values()] };
}
