// NATS subjects: which are well-formed, and which filter covers which.

import { expect, test } from "bun:test";
import { isOverlapping, isWithin, LITERAL_SUBJECT, SUBJECT_FILTER } from "#delivery/subject.ts";

test.each([
  ["orders", true, true],
  ["orders.new.EU", true, true],
  ["$KV.bucket.key", true, true],
  ["orders.*", false, true],
  ["*.new", false, true],
  [">", false, true],
  ["orders.>", false, true],
  ["orders.>.new", false, false],
  ["orders.n*w", false, false],
  ["orders..new", false, false],
  [".orders", false, false],
  ["orders.", false, false],
  ["orders new", false, false],
  ["", false, false],
  ["a".repeat(256), false, false],
])("LITERAL_SUBJECT and SUBJECT_FILTER judge %p", (subject, isLiteral, isFilter) => {
  expect(LITERAL_SUBJECT.test(subject)).toBe(isLiteral);
  expect(SUBJECT_FILTER.test(subject)).toBe(isFilter);
});

test.each([
  ["orders.new", "orders.new", true, true],
  ["orders.new", "orders.*", true, true],
  ["orders.new", "orders.>", true, true],
  ["orders.new.eu", "orders.>", true, true],
  ["orders.>", "orders.new", false, true],
  ["orders.>", "orders.*", false, true],
  ["orders.*", "orders.>", true, true],
  ["orders.*.eu", "orders.new.*", false, true],
  ["*.new", "orders.*", false, true],
  ["a.b.c", "a.*.c", true, true],
  ["orders", "orders.>", false, false],
  ["orders.new.eu", "orders.*", false, false],
  ["invoices.>", "orders.>", false, false],
  ["a.c", "a.b", false, false],
  [">", "orders.>", false, true],
  ["a.b", ">", true, true],
  [">", "*", false, true],
])("isWithin() and isOverlapping() compare %s with %s", (inner, outer, within, overlapping) => {
  expect(isWithin(inner, outer)).toBe(within);
  expect(isOverlapping(inner, outer)).toBe(overlapping);
  expect(isOverlapping(outer, inner)).toBe(overlapping);
});
