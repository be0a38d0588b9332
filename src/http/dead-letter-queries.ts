// Which dead letters a request means: the filters of a query or a body, and how a purge is asked for.

import * as v from "valibot";
import { EVERY_LETTER, type LetterFilter, parseStatusFilter } from "#delivery/letter.ts";
import type { letterFilterSchema } from "#wire/dead-letter.ts";
import type { Problem } from "./problem.ts";

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
