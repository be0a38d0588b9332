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
