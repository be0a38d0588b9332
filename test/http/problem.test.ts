// Problem details: their form, and what they must not hold.

import { HTTPException } from "hono/http-exception";
import { expect, test } from "bun:test";
import { problemOf, toProblemResponse } from "#http/problem.ts";

test("toProblemResponse() gives every text and keeps the headers", async () => {
  const response = toProblemResponse({
    status: 422,
    detail: "The body has faults",
    errors: [{ path: "headers.name", message: "missing" }],
    headers: { "x-extra": "1" },
  });
  expect(response.status).toBe(422);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  expect(response.headers.get("x-extra")).toBe("1");
  expect(await response.json()).toEqual({
    type: "about:blank",
    title: "Unprocessable Content",
    status: 422,
    detail: "The body has faults",
    errors: [{ path: "headers.name", message: "missing" }],
  });
});

test.each([
  ["an error", new Error("/home/relay/secret"), 500],
  ["an HTTPException", new HTTPException(404, { message: "secret" }), 404],
  ["an HTTPException of a status that is not ours", new HTTPException(418), 500],
])("problemOf() tells nothing of %s but a status", (_, error, status) => {
  expect(problemOf(error)).toEqual({ status: status as 404 });
});
