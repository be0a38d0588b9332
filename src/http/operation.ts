// Describes a route beside its handler: its operation in the document of the API, `/openapi.json`.
//
// To add a route: mount it with `describe({ … })` before its handler. The schemas of its answers and its body stand in
// wire/, each named by `component`. Nothing else is to be touched; test/http/openapi.test.ts fails for a route without.

import type { MiddlewareHandler, RouterRoute } from "hono/types";
import type { GenericSchema, ObjectEntries } from "valibot";
import type { ServerEnv } from "./caller.ts";
import type { ProblemStatus } from "./problem.ts";

/** The groups of the document, in its order. */
export const TAGS = {
  Relay: "The relay itself: its status, its config, its metrics",
  Session: "Signing in and out, for browsers",
  Subscriptions: "What is pushed where; below the context path of an entrypoint, limited to that one",
  Applications: "All subscriptions of one application, paused and resumed together",
  Deliveries: "The delivery log, and what is recorded in it",
  "Dead letters": "Messages that callbacks did not take",
  Fleet: "The relays of the NATS account",
  Replays: "Dead letters that are sent to callbacks again",
} as const;

export interface Operation {
  /** Unique in the document. */
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description: string;
  /** `open`: without credentials; `operator`: writes, and not for those who may only subscribe. */
  readonly access: "open" | "read" | "write" | "operator";
  /** What each parameter of its path stands for. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: ObjectEntries;
  /** What each header of the request does. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Body;
  readonly answers: readonly DocumentedAnswer[];
  /** Besides those that any request may get. */
  readonly problems?: readonly ProblemStatus[];
}

export interface Body {
  /** Null: any JSON. */
  readonly schema: GenericSchema | null;
  /** The schema of the same body below a context path, if that is another one. */
  readonly ofEntrypoint?: GenericSchema;
  readonly isRequired: boolean;
  readonly description: string;
}

export interface DocumentedAnswer {
  readonly status: number;
  readonly description: string;
  readonly content:
    | { readonly kind: "json"; readonly schema: GenericSchema }
    | { readonly kind: "other"; readonly types: readonly string[] }
    | { readonly kind: "none" };
  readonly headers: readonly AnswerHeader[];
}

type AnswerHeader = "ETag" | "Location" | "Set-Cookie";

interface AnswerOptions {
  readonly status?: number;
  readonly headers?: readonly AnswerHeader[];
}

export function json(
  schema: GenericSchema,
  description: string,
  { status = 200, headers = [] }: AnswerOptions = {},
): DocumentedAnswer {
  return { status, description, content: { kind: "json", schema }, headers };
}

/** With 200, in one of those content types. */
export function raw(types: readonly string[], description: string): DocumentedAnswer {
  return { status: 200, description, content: { kind: "other", types }, headers: [] };
}

/** With 204. */
export function empty(description: string, { headers = [] }: AnswerOptions = {}): DocumentedAnswer {
  return { status: 204, description, content: { kind: "none" }, headers };
}

const OPERATIONS = new WeakMap<object, Operation>();

/** To be mounted before the handler of the route; it does nothing there. */
export function describe(operation: Operation): MiddlewareHandler<ServerEnv> {
  const pass: MiddlewareHandler<ServerEnv> = (_context, next) => next();
  OPERATIONS.set(pass, operation);
  return pass;
}

export interface DescribedRoute {
  readonly method: string;
  /** With `{parameters}`. */
  readonly path: string;
  readonly operation: Operation;
}

export function listDescribed(routes: readonly RouterRoute[]): readonly DescribedRoute[] {
  return routes.flatMap(({ method, path, handler }) => {
    const operation = OPERATIONS.get(handler);
    if (operation === undefined) return [];
    return [{ method: method.toLowerCase(), path: path.replace(/:(\w+)/gu, "{$1}"), operation }];
  });
}
