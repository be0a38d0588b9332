// Makes error responses: problem details of RFC 9457, without stack traces and secrets.

import { HTTPException } from "hono/http-exception";
import type * as v from "valibot";
import { formatPath } from "#schema/issue.ts";

export const TITLES = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  503: "Service Unavailable",
} as const;

export type ProblemStatus = keyof typeof TITLES;

export interface Problem {
  readonly status: ProblemStatus;
  /** What was wrong with this request, for people. */
  readonly detail?: string;
  /** Faults of the body, each with the path of its value; an empty path is the body as a whole. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** Headers of the answer, such as `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
}

export function toProblemResponse(problem: Problem): Response {
  const { status, detail, errors, headers } = problem;
  const content = {
    type: "about:blank",
    title: TITLES[status],
    status,
    ...(detail === undefined ? {} : { detail }),
    ...(errors === undefined ? {} : { errors: errors.map(({ path, message }) => ({ path, message })) }),
  };
  return new Response(JSON.stringify(content), {
    status,
    headers: { "cache-control": "no-store", ...headers, "content-type": "application/problem+json" },
  });
}

/** The problem of any thrown value: only its status is shown, never its message. */
export function problemOf(error: unknown): Problem {
  if (error instanceof HTTPException && isProblemStatus(error.status)) return { status: error.status };
  return { status: 500 };
}

function isProblemStatus(status: number): status is ProblemStatus {
  return Object.hasOwn(TITLES, status);
}

/**
 * Of a body, 422, or a query, 400, that does not fit its schema. Of several forms that a body may have, what is wrong
 * inside its parts says more than what it is not.
 */
export function toFaultsProblem(
  status: 400 | 422,
  issues: readonly v.BaseIssue<unknown>[],
  detail = "The request has faults",
): Problem {
  const inner = issues.flatMap((issue) => issue.issues ?? []).filter(({ path = [] }) => path.length > 1);
  const errors = new Map(
    (inner.length > 0 ? inner : issues).map((issue) => {
      const keys = (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
      // A parameter that is given twice is no list to who wrote the query.
      const path = formatPath(status === 400 ? keys.slice(0, 1) : keys);
      return [`${path} ${issue.message}`, { path, message: issue.message }];
    }),
  );
  return { status, detail, errors: [...errors.values()] };
}
