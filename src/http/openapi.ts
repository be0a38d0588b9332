// `/openapi.json`: what the API is, for people and programs, in OpenAPI 3.1.

import { VERSION } from "#lib/version.ts";
import type { Auth } from "./auth.ts";
import { DEAD_LETTER_OPERATIONS } from "./openapi-dead-letters.ts";
import { DELIVERY_OPERATIONS } from "./openapi-deliveries.ts";
import { type Answer, type Body, type Operation, OPERATIONS } from "./openapi-operations.ts";
import { PARAMETERS } from "./openapi-parameters.ts";
import { createSchemas } from "./openapi-schemas.ts";
import { subscriptionOperations } from "./openapi-subscriptions.ts";
import { TITLES } from "./problem.ts";

export type Document = Readonly<Record<string, object | string>>;

/**
 * It is open to all, so that entrypoints are not named in it: `{contextPath}` stands for the path of any, which may have
 * several segments.
 */
export function createDocument(auth: Auth["kind"]): Document {
  const operations = [
    ...OPERATIONS,
    ...DEAD_LETTER_OPERATIONS,
    ...DELIVERY_OPERATIONS,
    ...subscriptionOperations("/api"),
    ...subscriptionOperations("/{contextPath}"),
  ];
  const paths: Record<string, Record<string, object>> = {};
  for (const operation of operations) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: toOperation(operation, auth),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Relay",
      version: VERSION,
      summary: "Pushes messages of NATS JetStream streams to HTTP callbacks",
      description:
        "Writes with a body need `Content-Type: application/json`, and no `Origin` but the own one.",
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      schemas: createSchemas(),
      parameters: PARAMETERS,
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

const HEADERS = {
  ETag: {
    description: "Revision of the definition; none: it stands in the file",
    schema: { type: "string" },
  },
  Location: { description: "Path of what was made", schema: { type: "string" } },
  "Set-Cookie": { description: "The session", schema: { type: "string" } },
};

function toOperation(operation: Operation, auth: Auth["kind"]): object {
  const { id, summary, parameters = [], body, answers, problems = [] } = operation;
  const problemAnswers = problems.map((status) => [status, { ...PROBLEM, description: TITLES[status] }]);
  return {
    operationId: id,
    summary,
    ...(parameters.length === 0
      ? {}
      : { parameters: parameters.map((name) => ({ $ref: `#/components/parameters/${name}` })) }),
    ...(body === undefined ? {} : { requestBody: toBody(body) }),
    responses: {
      ...Object.fromEntries(problemAnswers),
      ...Object.fromEntries(answers.map((answer) => [answer.status, toAnswer(answer)])),
      default: { $ref: "#/components/responses/Problem" },
    },
    security: toSecurity(operation, auth),
  };
}

function toBody({ schema, isRequired, description }: Body): object {
  return {
    required: isRequired,
    ...(description === undefined ? {} : { description }),
    content: { "application/json": schema === null ? {} : { schema: refTo(schema) } },
  };
}

function toAnswer({ description, content, headers = [] }: Answer): object {
  const own = headers.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
  return {
    description,
    ...(own.length === 0 ? {} : { headers: Object.fromEntries(own) }),
    ...(content === null ? {} : { content: toContent(content) }),
  };
}

function toContent(content: NonNullable<Answer["content"]>): object {
  if ("type" in content) return { [content.type]: {} };
  return { "application/json": { schema: refTo(content.schema) } };
}

function refTo(name: string): object {
  return { $ref: `#/components/schemas/${name}` };
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
function toSecurity({ access }: Operation, auth: Auth["kind"]): readonly object[] {
  if (access === "open" || auth === "none") return [];
  if (auth !== "jwt") return [{ [auth]: [] }];
  const scope = access.endsWith("read") ? "relay:read" : "relay:write";
  const isOfEntrypoint = access.startsWith("entrypoint");
  return [{ jwt: [scope] }, ...(isOfEntrypoint ? [{ jwt: ["relay:subscribe"] }] : [])];
}
