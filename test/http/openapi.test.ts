// The document tells of every route, and of nothing else, in the words of the specification.

import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "bun:test";
import { Hono } from "hono";
import { createActivity } from "#http/activity.ts";
import { createDocument, type Document } from "#http/openapi.ts";
import { listDescribed } from "#http/operation.ts";
import { createServer } from "#http/server.ts";
import { createSessions } from "#http/session.ts";
import { createServerSlots } from "#http/slots.ts";
import { toSubscription } from "../support/subscription.ts";
import { BASIC, testAuth, TOKEN } from "./gated.ts";

const AUTH_KINDS = ["none", "token", "basic", "jwt"] as const;
const CONTEXT_PATHS = ["/webhook", "/hooks/eu"];

function notCalled(): never {
  throw new Error("Nothing is asked of this server");
}

interface Described {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, object>>;
}

/** As the app makes it, with nothing behind it. */
function serverWith(auth: ReturnType<typeof testAuth>) {
  return createServer({
    auth,
    sessions: createSessions(),
    slots: createServerSlots(),
    host: "edge-7",
    fleet: notCalled,
    listen: { host: "127.0.0.1", isLoopback: true },
    entrypoints: CONTEXT_PATHS.map((contextPath, index) => ({
      id: `entrypoint-${index}`,
      contextPath,
      recording: toSubscription().recording,
    })),
    readiness: notCalled,
    metrics: notCalled,
    registry: notCalled,
    letters: notCalled,
    deliveryLog: {
      find: notCalled,
      readSlice: notCalled,
      countLeftOut: notCalled,
      newestId: notCalled,
      newerThan: notCalled,
    },
    overrides: { of: notCalled, set: notCalled, remove: notCalled },
    keptLogging: notCalled,
    replays: notCalled,
    findSubscription: notCalled,
    lagOf: notCalled,
    lastSequenceOf: notCalled,
    previewSeek: notCalled,
    messageAt: notCalled,
    status: notCalled,
    orphans: notCalled,
    applications: notCalled,
    activity: createActivity(),
    page: new Hono(),
    unknownPage: async () => new Response(),
    config: notCalled,
    reload: notCalled,
    onError: () => {},
  });
}

/** As the server shows it; those of its routes that are not of an entrypoint say what is in it. */
function documentOf(kind: (typeof AUTH_KINDS)[number]): Document {
  const described = listDescribed(serverWith(testAuth(TOKEN)).routes);
  const common = described.filter(({ path }) => !CONTEXT_PATHS.some((below) => path.startsWith(`${below}/`)));
  return createDocument(kind, common);
}

function operationsOf(document: Document): readonly string[] {
  return Object.entries(document["paths"] ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

test.each(AUTH_KINDS)("createDocument() with server.auth %s is valid OpenAPI 3.1", async (kind) => {
  const document = JSON.parse(JSON.stringify(documentOf(kind))) as Record<string, unknown>;
  const validator = new Validator();
  expect(await validator.validate(document)).toMatchObject({ valid: true });
  expect(validator.version).toBe("3.1");
  expect(() => validator.resolveRefs()).not.toThrow();
});

test("createDocument() has every route of the server, and the server every route of it", () => {
  const served = serverWith(testAuth(TOKEN))
    .routes.filter(({ method }) => method !== "ALL")
    .map(({ method, path }) => {
      const below = CONTEXT_PATHS.find((contextPath) => path.startsWith(`${contextPath}/`));
      const template = below === undefined ? path : path.replace(below, "/{contextPath}");
      return `${method} ${template.replace(/:(\w+)/gu, "{$1}")}`;
    });
  expect([...new Set(served)].toSorted()).toEqual(operationsOf(documentOf("token")).toSorted());
});

test("the README has every operation of createDocument(), and no other", async () => {
  const readme = await Bun.file(new URL("../../README.md", import.meta.url)).text();
  const [, chapter = ""] = /\n## HTTP API\n([\s\S]*?)\n## /u.exec(readme) ?? [];
  const rows = [...chapter.matchAll(/^\| (`[A-Z]+`(?:, `[A-Z]+`)*) \| (`\/\S+`(?:, `\/\S+`)*) \|/gmu)];
  const named = rows.flatMap(([, methods = "", paths = ""]) =>
    [...methods.matchAll(/[A-Z]+/gu)].flatMap(([method]) =>
      [...paths.matchAll(/`([^`]+)`/gu)].map(([, path]) => `${method} ${path}`),
    ),
  );
  const described = operationsOf(documentOf("token")).filter((name) => !name.includes("{contextPath}"));
  expect(named.toSorted()).toEqual(described.toSorted());
});

test("createDocument() names every operation once, and each parameter of its path and its page", () => {
  const paths = documentOf("token")["paths"] as Record<string, Record<string, Described>>;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
  );
  const ids = operations.map(({ operation }) => operation.operationId);
  expect(ids).toHaveLength(new Set(ids).size);
  for (const { name, path, operation } of operations) {
    const { parameters = [] } = operation;
    const namesIn = (place: string) => parameters.filter((one) => one.in === place).map((one) => one.name);
    const ownNames = namesIn("path");
    const inPath = [...path.matchAll(/\{(\w+)\}/gu)].map(([, parameter = ""]) => parameter);
    expect([name, ...ownNames]).toEqual([name, ...inPath]);
    if (!/Page"/u.test(JSON.stringify(operation.responses["200"] ?? null))) continue;
    expect([name, namesIn("query")]).toEqual([name, expect.arrayContaining(["limit", "cursor"])]);
    expect([name, Object.keys(operation.responses)]).toEqual([name, expect.arrayContaining(["400"])]);
  }
});

/** Every object in it, with its path. */
function* objectsIn(
  value: unknown,
  path = "#",
): Generator<readonly [string, Readonly<Record<string, unknown>>]> {
  if (typeof value !== "object" || value === null) return;
  yield [path, value as Record<string, unknown>];
  for (const [key, inner] of Object.entries(value)) yield* objectsIn(inner, `${path}/${key}`);
}

test("createDocument() has what spectral asks for: tags, descriptions, items of lists, nothing unused", () => {
  const document = documentOf("jwt");
  const text = JSON.stringify(document);
  const tags = (document["tags"] as readonly { name: string }[]).map(({ name }) => name);
  const paths = document["paths"] as Record<string, Record<string, Record<string, unknown>>>;
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const name = `${method} ${path}`;
      const { summary, description } = operation;
      expect([name, summary, description]).toEqual([
        name,
        expect.stringMatching(/^[A-Z].*[^.]$/u),
        expect.stringMatching(/^[A-Z\x60].*\.$/u),
      ]);
      expect(tags).toContain((operation["tags"] as readonly string[]).join());
    }
  }
  const lists = [...objectsIn(JSON.parse(text))].filter(([, { type }]) => type === "array");
  expect(lists.filter(([, { items }]) => typeof items !== "object").map(([path]) => path)).toEqual([]);
  const { schemas } = document["components"] as { schemas: object };
  const unused = Object.keys(schemas).filter((name) => !text.includes(`"#/components/schemas/${name}"`));
  expect(unused).toEqual([]);
});

test("createDocument() refers to nothing that is not there", () => {
  const text = JSON.stringify(documentOf("jwt"));
  const document = JSON.parse(text) as Document;
  const references = [...text.matchAll(/"\$ref":"#\/([^"]+)"/gu)].map(([, path = ""]) => path);
  expect(references.length).toBeGreaterThan(50);
  for (const path of references) {
    const found = path
      .split("/")
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect([path, typeof found]).toEqual([path, "object"]);
  }
});

test.each([
  ["none", "GET /api/status", []],
  ["token", "GET /api/status", [{ token: [] }]],
  ["basic", "POST /api/reload", [{ basic: [] }]],
  ["jwt", "GET /livez", []],
  ["jwt", "GET /api/subscriptions", [{ jwt: ["relay:read"] }]],
  ["jwt", "POST /api/subscriptions", [{ jwt: ["relay:write"] }]],
  [
    "jwt",
    "DELETE /{contextPath}/subscriptions/{id}",
    [{ jwt: ["relay:write"] }, { jwt: ["relay:subscribe"] }],
  ],
] as const)("createDocument() with server.auth %s says what %s asks for", (kind, operation, expected) => {
  const [method = "", path = ""] = operation.split(" ");
  const paths = documentOf(kind)["paths"] as Record<string, Record<string, { security: unknown }>>;
  expect(paths[path]?.[method.toLowerCase()]?.security).toEqual(expected as unknown);
});

const env = { caller: { kind: "network", address: "127.0.0.1", port: 8080, isSecure: false } };

test("createServer() answers 401 without credentials, except for operations whose access is open", async () => {
  const server = serverWith(testAuth(TOKEN));
  const open: string[] = [];
  for (const { method, path } of listDescribed(server.routes)) {
    const headers = { host: "localhost:8080", "content-type": "application/json" };
    const init = { method: method.toUpperCase(), headers };
    const { status } = await server.request(
      `http://localhost:8080${path.replaceAll(/[{}]/gu, "")}`,
      init,
      env,
    );
    if (status !== 401) open.push(`${method} ${path}`);
  }
  const declared = listDescribed(server.routes).filter(({ operation }) => operation.access === "open");
  const isSignIn = (one: string) => one.endsWith("/session");
  expect(open.filter((one) => !isSignIn(one)).toSorted()).toEqual(
    declared
      .map(({ method, path }) => `${method} ${path}`)
      .filter((one) => !isSignIn(one))
      .toSorted(),
  );
  expect(open.filter((one) => !isSignIn(one))).toHaveLength(3);
});

test("createServer() shows the document to everybody, and no name of an entrypoint in it", async () => {
  const response = await serverWith(testAuth(BASIC)).request(
    "http://localhost:8080/openapi.json",
    { headers: { host: "localhost:8080" } },
    env,
  );
  expect(response.status).toBe(200);
  const text = await response.text();
  expect(text).not.toContain("entrypoint-0");
  expect(text).not.toContain("hooks/eu");
});

test("the script of the page calls operations of the API only", async () => {
  const source = await Bun.file(new URL("../../src/browser/api.ts", import.meta.url)).text();
  const called = [...source.matchAll(/readonly "([A-Z]+ )(\/[^"]+)":/g)].map(
    ([, method = "", path = ""]) => `${method}/api${path.replace(":id", "{}")}`,
  );
  const known = new Set(operationsOf(documentOf("none")).map((one) => one.replace(/\{[^}]*\}/, "{}")));
  expect(called.length).toBeGreaterThan(25);
  expect(called.filter((one) => !known.has(one))).toEqual([]);
});
