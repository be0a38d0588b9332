// The document tells of every route, and of nothing else, in the words of the specification.

import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, test } from "bun:test";
import { createDocument, type Document } from "#http/openapi.ts";
import { createServer } from "#http/server.ts";
import { createSessions } from "#http/session.ts";
import { BASIC, testAuth, TOKEN } from "./gated.ts";

const AUTH_KINDS = ["none", "token", "basic", "jwt"] as const;
const CONTEXT_PATHS = ["/webhook", "/hooks/eu"];

function notCalled(): never {
  throw new Error("Nothing is asked of this server");
}

/** As the app makes it, with nothing behind it. */
function serverWith(auth: ReturnType<typeof testAuth>) {
  return createServer({
    auth,
    sessions: createSessions(),
    listen: { host: "127.0.0.1", isLoopback: true },
    mask: (text) => text,
    entrypoints: CONTEXT_PATHS.map((contextPath, index) => ({ id: `entrypoint-${index}`, contextPath })),
    readiness: notCalled,
    metrics: notCalled,
    registry: notCalled,
    lagOf: notCalled,
    status: notCalled,
    orphans: notCalled,
    config: notCalled,
    reload: notCalled,
    onError: () => {},
  });
}

function operationsOf(document: Document): readonly string[] {
  return Object.entries(document["paths"] ?? {}).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );
}

test.each(AUTH_KINDS)("createDocument() with server.auth %s is valid OpenAPI 3.1", async (kind) => {
  const document = JSON.parse(JSON.stringify(createDocument(kind))) as Record<string, unknown>;
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
  expect([...new Set(served)].toSorted()).toEqual(operationsOf(createDocument("token")).toSorted());
});

test("createDocument() refers to nothing that is not there", () => {
  const text = JSON.stringify(createDocument("jwt"));
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
  const paths = createDocument(kind)["paths"] as Record<string, Record<string, { security: unknown }>>;
  expect(paths[path]?.[method.toLowerCase()]?.security).toEqual(expected as unknown);
});

test("createServer() shows the document to everybody, and no name of an entrypoint in it", async () => {
  const env = {
    caller: { kind: "network", address: "127.0.0.1", port: 8080, isSecure: false },
    keepOpen: () => {},
  };
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
