// Secrets masked wherever they stand.

import { expect, test } from "bun:test";

import { createMask } from "#lib/mask.ts";

test.each([
  ["as it is", "token s3cret/value+1 was sent", "token *** was sent"],
  ["each time", "s3cret/value+1s3cret/value+1", "******"],
  ["percent-encoded", "?t=s3cret%2Fvalue%2B1", "?t=***"],
  ["in base64", `Basic ${Buffer.from("s3cret/value+1").toString("base64")}`, "Basic ***"],
  ["escaped as in JSON", String.raw`{"value":"line\none\"two\""}`, `{"value":"***"}`],
  ["but no short one", "a short text", "a short text"],
  ["the longest first", "s3cret/value+1-and-more", "***"],
])("createMask() masks a secret %s", (_, text, expected) => {
  const mask = createMask(["s3cret/value+1", "short", 'line\none"two"', "s3cret/value+1-and-more"]);
  expect(mask(text)).toBe(expected);
});

test("createMask() leaves everything as it is without secrets", () => {
  expect(createMask([])("nothing to hide")).toBe("nothing to hide");
});

const SECRET = "s3cret/value+1-and-more";

test.each([
  ["its first 8 characters", "token s3cret/v", "token ***"],
  ["all but its last", "token s3cret/value+1-and-mor", "token ***"],
  ["all of it", `token ${SECRET}`, "token ***"],
  ["its beginning in base64", Buffer.from(SECRET).toString("base64").slice(0, 20), "***"],
  ["a beginning of it after another one", "s3cret/vs3cret/v", "s3cret/v***"],
  ["but not 7 characters", "token s3cret/", "token s3cret/"],
  ["but not what goes on otherwise", "token s3cret/v.", "token s3cret/v."],
  ["but nothing of no text", "", ""],
])("createMask() masks at the end of a text that was cut %s", (_, text, expected) => {
  const mask = createMask(["12345678", SECRET]);
  expect(mask(text, "cut")).toBe(expected);
});

test("createMask() leaves the end of a whole text as it is", () => {
  expect(createMask([SECRET])("token s3cret/v")).toBe("token s3cret/v");
});
