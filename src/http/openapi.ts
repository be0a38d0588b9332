// `/openapi.json`: the document of the API in OpenAPI 3.1, made from the operations beside the routes.

import type { GenericSchema } from "valibot";
import { toComponents, toInlineComponent } from "#schema/json-schema.ts";
import { VERSION } from "#lib/version.ts";
import { componentOf, listComponents } from "#wire/component.ts";
import { problemSchema } from "#wire/problem.ts";
import type { Auth } from "./auth.ts";
import {
  type DocumentedAnswer,
  type Body,
  type DescribedRoute,
  type Operation,
  raw,
  TAGS,
} from "./operation.ts";
import { TITLES } from "./problem.ts";

export type Document = Readonly<Record<string, object | string>>;

export const DOCUMENT: Operation = {
  id: "getDocument",
  tag: "Relay",
  summary: "Describes the API",
  description: "This document, in OpenAPI 3.1.",
  access: "open",
  answers: [raw(["application/json"], "The document")],
};

/** The routes that are also below a context path. */
function isAlsoOfEntrypoint({ method, path }: DescribedRoute): boolean {
  if (/^\/api\/(?:subscriptions|deliveries|replays|activity|session)\b/u.test(path)) return true;
  return path.startsWith("/api/dead-letters") && method === "get" && !path.endsWith("/counts");
}

/**
 * `routes`: those below `/api` and the open ones. The routes of entrypoints are made from those below `/api`: the
 * document is open to all, so it names no entrypoint, and `{contextPath}` stands for the path of any.
 */
export function createDocument(auth: Auth["kind"], routes: readonly DescribedRoute[]): Document {
  const all = [...routes, ...routes.filter(isAlsoOfEntrypoint).map(toContextPath)];
  const paths: Record<string, Record<string, object>> = {};
  for (const route of all) {
    paths[route.path] = { ...paths[route.path], [route.method]: toOperation(route, auth) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Relay",
      version: VERSION,
      summary: "Pushes messages of NATS JetStream streams to HTTP callbacks",
      description:
        "Writes with a body need `Content-Type: application/json`, and no `Origin` but the own one.",
      contact: { name: "The operator of this relay" },
      license: { name: "Apache License 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "This relay" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: toSchemas(all.map(({ operation }) => operation)),
      headers: HEADERS,
      securitySchemes: toSecuritySchemes(auth),
      responses: { Problem: PROBLEM },
    },
  };
}

const PROBLEM = {
  description: "Problem details of RFC 9457",
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

const HEADERS: Readonly<Record<DocumentedAnswer["headers"][number], object>> = {
  ETag: {
    description: "Revision of the definition; none: it stands in the file",
    schema: { type: "string" },
  },
  Location: { description: "Path of what was made", schema: { type: "string" } },
  "Set-Cookie": { description: "The session", schema: { type: "string" } },
};

/** The same route below the context path of an entrypoint. */
function toContextPath({ method, path, operation }: DescribedRoute): DescribedRoute {
  const { id, summary, params, body } = operation;
  return {
    method,
    path: path.replace("/api/", "/{contextPath}/"),
    operation: {
      ...operation,
      id: `${id}OfEntrypoint`,
      summary: `${summary}, limited to one entrypoint`,
      params: { contextPath: CONTEXT_PATH, ...params },
      ...(body === undefined ? {} : { body: { ...body, schema: body.ofEntrypoint ?? body.schema } }),
    },
  };
}

const CONTEXT_PATH = "`contextPath` of the entrypoint, without its first slash; it may have several segments";

function isOfEntrypoint(path: string): boolean {
  return path.startsWith("/{contextPath}/");
}

/** A body holds its values itself, for a reference to a secret would be refused there. */
function toSchemas(operations: readonly Operation[]): Readonly<Record<string, object>> {
  const bodies = operations.flatMap(({ body }) => body?.schema ?? []);
  const answers = operations.flatMap(({ answers }) =>
    answers.flatMap(({ content }) => (content.kind === "json" ? [content.schema] : [])),
  );
  const shown = listComponents([problemSchema, ...answers]);
  const converted = {
    ...toComponents(Object.fromEntries(shown.map(({ name, schema }) => [name, schema]))),
    ...Object.fromEntries(
      bodies.map((schema) => [componentOf(schema).name, toInlineComponent(schema)] as const),
    ),
  };
  const examples = new Map(
    [...shown, ...bodies.map(componentOf)].map(({ name, example }) => [name, example]),
  );
  const names = Object.keys(converted).toSorted();
  return Object.fromEntries(
    names.map((name) => [
      name,
      { ...converted[name], ...(examples.has(name) ? { examples: [examples.get(name)] } : {}) },
    ]),
  );
}

function toOperation({ path, operation }: DescribedRoute, auth: Auth["kind"]): object {
  const { id, tag, summary, description, body, answers, problems = [] } = operation;
  const problemAnswers = problems.map((status) => [status, { ...PROBLEM, description: TITLES[status] }]);
  const parameters = toParameters(operation);
  return {
    operationId: id,
    tags: [tag],
    summary,
    description,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: toBody(body) }),
    responses: {
      ...Object.fromEntries(problemAnswers),
      ...Object.fromEntries(answers.map((answer) => [answer.status, toAnswer(answer)])),
      default: { $ref: "#/components/responses/Problem" },
    },
    security: toSecurity(operation, { auth, isLimited: isOfEntrypoint(path) }),
  };
}

function toParameters({ params = {}, query = {}, headers = {} }: Operation): readonly object[] {
  const schema = { type: "string" };
  return [
    ...Object.entries(params).map(([name, description]) => {
      return { name, in: "path", required: true, description, schema };
    }),
    ...Object.entries(query).map(([name, entry]) => {
      const { description = "", ...own } = toInlineComponent(entry);
      return { name, in: "query", description, schema: own };
    }),
    ...Object.entries(headers).map(([name, description]) => ({ name, in: "header", description, schema })),
  ];
}

function toBody({ schema, isRequired, description }: Body): object {
  return {
    required: isRequired,
    description,
    content: { "application/json": schema === null ? {} : { schema: refTo(schema) } },
  };
}

function toAnswer({ description, content, headers }: DocumentedAnswer): object {
  const own = headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return {
    description,
    ...(own.length === 0 ? {} : { headers: Object.fromEntries(own) }),
    ...(content.kind === "none" ? {} : { content: toContent(content) }),
  };
}

function toContent(content: Exclude<DocumentedAnswer["content"], { kind: "none" }>): object {
  if (content.kind === "other") return Object.fromEntries(content.types.map((type) => [type, {}]));
  return { "application/json": { schema: refTo(content.schema) } };
}

function refTo(schema: GenericSchema): object {
  return { $ref: `#/components/schemas/${componentOf(schema).name}` };
}

function toSecuritySchemes(auth: Auth["kind"]): object {
  switch (auth) {
    case "none":
      return {};
    case "token":
      return { token: { type: "http", scheme: "bearer" } };
    case "basic":
      return { basic: { type: "http", scheme: "basic" } };
    case "jwt":
      return { jwt: { type: "http", scheme: "bearer", bearerFormat: "JWT" } };
  }
}

/** One of the list is enough; an empty list: nothing is asked for. */
function toSecurity(
  { access }: Operation,
  { auth, isLimited }: { auth: Auth["kind"]; isLimited: boolean },
): readonly object[] {
  if (access === "open" || auth === "none") return [];
  if (auth !== "jwt") return [{ [auth]: [] }];
  const scope = access === "read" ? "relay:read" : "relay:write";
  const mayBeSubscriber = isLimited && access !== "operator";
  return [{ jwt: [scope] }, ...(mayBeSubscriber ? [{ jwt: ["relay:subscribe"] }] : [])];
}
