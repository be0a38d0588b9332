// Which subjects two patterns share, and which pattern holds the other.

import { expect, test } from "bun:test";

import { subjectCovers, subjectsOverlap } from "#nats/subjects.ts";

test.each([
  ["orders.new", "orders.new", true, true],
  ["orders.>", "orders.new.eu", true, true],
  ["orders.>", "orders", false, false],
  ["orders.*", "orders.new.eu", false, false],
  ["orders.*", "*.new", true, false],
  ["orders.new", "orders.>", true, false],
  ["orders.*", "orders.>", true, false],
  [">", "a.b", true, true],
  ["*", ">", true, false],
  ["a.*.c", "a.b.c", true, true],
  ["a.b", "a.c", false, false],
])("subjectsOverlap() and subjectCovers() of %s and %s", (outer, inner, overlaps, covers) => {
  expect(subjectsOverlap(outer, inner)).toBe(overlaps);
  expect(subjectsOverlap(inner, outer)).toBe(overlaps);
  expect(subjectCovers(outer, inner)).toBe(covers);
});
