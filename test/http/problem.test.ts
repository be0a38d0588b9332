// Problem details: their form, and what they must not hold.

import { HTTPException } from "hono/http-exception";
import { expect, test } from "bun:test";
import * as v from "valibot";
import { problemOf, toFaultsProblem, toProblemResponse } from "#http/problem.ts";

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

test("toFaultsProblem() names a parameter of a query, and the place in a body as the config file does", () => {
  const schema = v.object({ status: v.array(v.object({ code: v.number("allowed: a number") })) });
  const { issues = [] } = v.safeParse(schema, { status: [{ code: "x" }] });
  const pathOf = (status: 400 | 422) => toFaultsProblem(status, issues).errors?.map(({ path }) => path);
  expect(pathOf(400)).toEqual(["status"]);
  expect(pathOf(422)).toEqual(["status[0].code"]);
});
