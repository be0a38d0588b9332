// What is said of anything thrown.

import { expect, test } from "bun:test";

import { messageOf, RelayError } from "#lib/errors.ts";

test("RelayError has a code, a message and a cause", () => {
  const cause = new Error("EACCES");
  const error = new RelayError("unavailable", "Cannot listen on 127.0.0.1:80: EACCES", { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "RelayError", code: "unavailable", cause });
});

test.each<[what: string, thrown: unknown, expected: string]>([
  ["an error", new Error("no space left"), "no space left"],
  ["a RelayError", new RelayError("usage", "Cannot do that"), "Cannot do that"],
  ["a text", "text", "text"],
  ["nothing", undefined, "undefined"],
  ["null", null, "null"],
  ["a number", 7n, "7"],
  ["an error without a message", new AggregateError([new Error("a")]), "AggregateError"],
  [
    "an error with a code only",
    Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }),
    "ECONNREFUSED",
  ],
])("messageOf() of %s", (_, thrown, expected) => {
  expect(messageOf(thrown)).toBe(expected);
});
