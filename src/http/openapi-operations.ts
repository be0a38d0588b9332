// Every route of the server, as its document tells of it: all but the subscriptions'.
//
// A route is added in four places, and test/http/openapi.test.ts fails where one is missing:
//
//   server.ts              mounts it; what it answers with is a `View` of a schema that stands beside the route
//   openapi-schemas.ts     names that schema, its page (`pageSchema`) and the schema of its body
//   here                   an operation: who may call it, what it takes, each answer and problem it has of its own
//   openapi-parameters.ts  what it takes in its address, if that is new

import type { ParameterName } from "./openapi-parameters.ts";
import type { ProblemStatus } from "./problem.ts";

export interface Operation {
  readonly method: "get" | "post" | "put" | "delete";
  /** With `{parameters}`. */
  readonly path: string;
  /** Unique in the document. */
  readonly id: string;
  readonly summary: string;
  /** `open`: without credentials; `entrypoint`: limited to the application of who may subscribe only. */
  readonly access: "open" | "read" | "write" | "entrypoint-read" | "entrypoint-write";
  readonly parameters?: readonly ParameterName[];
  readonly body?: Body;
  readonly answers: readonly Answer[];
  /** Besides those that any request may get. */
  readonly problems?: readonly ProblemStatus[];
}

export interface Body {
  /** Name of its schema; null: any JSON. */
  readonly schema: string | null;
  readonly isRequired: boolean;
  readonly description?: string;
}

export interface Answer {
  readonly status: number;
  readonly description: string;
  /** Name of its schema, or another type than JSON; null: no content. */
  readonly content: { readonly schema: string } | { readonly type: string } | null;
  readonly headers?: readonly ("ETag" | "Location" | "Set-Cookie")[];
}

export function json(schema: string, description: string, status = 200): Answer {
  return { status, description, content: { schema } };
}

const PAGED = ["Limit", "Cursor"] as const;
const APPLICATION = [
  json("Application", "As it is now"),
  json("Application", "It counts on this relay, and is stored when NATS is back: `notStored`", 202),
];

export const OPERATIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/livez",
    id: "isAlive",
    summary: "Whether the process answers",
    access: "open",
    answers: [{ status: 200, description: "It does", content: { type: "text/plain" } }],
  },
  {
    method: "get",
    path: "/readyz",
    id: "isReady",
    summary: "Whether the relay can do its job",
    access: "open",
    answers: [json("Readiness", "It can"), json("Readiness", "It cannot, and why", 503)],
  },
  {
    method: "get",
    path: "/openapi.json",
    id: "getDocument",
    summary: "This document",
    access: "open",
    answers: [{ status: 200, description: "OpenAPI 3.1", content: { type: "application/json" } }],
  },
  {
    method: "get",
    path: "/metrics",
    id: "getMetrics",
    summary: "Metrics for Prometheus",
    access: "read",
    answers: [{ status: 200, description: "Text exposition", content: { type: "text/plain" } }],
  },
  {
    method: "get",
    path: "/api/session",
    id: "showSession",
    summary: "How one signs in here, and who is signed in",
    access: "open",
    answers: [json("Session", "The session of the cookie, if there is one")],
  },
  {
    method: "post",
    path: "/api/session",
    id: "signIn",
    summary: "Takes credentials for a cookie that stands for them",
    access: "open",
    body: { schema: "Credentials", isRequired: true },
    answers: [{ ...json("Session", "Signed in"), headers: ["Set-Cookie"] }],
    problems: [401, 422],
  },
  {
    method: "delete",
    path: "/api/session",
    id: "signOut",
    summary: "Ends the session of the cookie",
    access: "open",
    answers: [{ status: 204, description: "There is none any more", content: null, headers: ["Set-Cookie"] }],
  },
  {
    method: "get",
    path: "/api/status",
    id: "getStatus",
    summary: "How the relay is",
    access: "read",
    answers: [json("Status", "Version, config, NATS, readiness, subscriptions by state")],
  },
  {
    method: "get",
    path: "/api/activity",
    id: "listActivity",
    summary: "Attempts of the last hour, minute by minute, for each subscription that made some",
    access: "read",
    parameters: PAGED,
    answers: [json("ActivityPage", "Of this relay")],
    problems: [400],
  },
  {
    method: "get",
    path: "/api/config",
    id: "getConfig",
    summary: "The config that runs, with its defaults, without its secrets",
    access: "read",
    answers: [json("Config", "In the shape of the file; a secret is `***`, a reference is as it is")],
  },
  {
    method: "post",
    path: "/api/reload",
    id: "reload",
    summary: "Reads the config file again, and takes it whole or not at all",
    access: "write",
    answers: [json("Reload", "It was taken")],
    problems: [422],
  },
  {
    method: "get",
    path: "/api/applications",
    id: "listApplications",
    summary: "Applications that have subscriptions here, or are paused",
    access: "read",
    parameters: PAGED,
    answers: [json("ApplicationPage", "In the order of their names")],
    problems: [400],
  },
  {
    method: "post",
    path: "/api/applications/{application}/pause",
    id: "pauseApplication",
    summary: "Pauses all subscriptions of an application, those that it makes meanwhile included",
    access: "write",
    parameters: ["Application"],
    answers: APPLICATION,
    problems: [404, 409],
  },
  {
    method: "post",
    path: "/api/applications/{application}/resume",
    id: "resumeApplication",
    summary: "Ends the pause of an application; what was paused by itself stays paused",
    access: "write",
    parameters: ["Application"],
    answers: APPLICATION,
    problems: [404, 409],
  },
  {
    method: "get",
    path: "/api/orphans",
    id: "listOrphans",
    summary: "Consumers of no subscription of this relay, on the streams in use; nobody pulls from them",
    access: "read",
    parameters: PAGED,
    answers: [json("OrphanPage", "As last looked at")],
    problems: [400],
  },
];
