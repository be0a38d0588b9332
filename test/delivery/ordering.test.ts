// The key of a message: what it has in common with those that it keeps its order with.

import { expect, test } from "bun:test";

import type { Header } from "#delivery/message.ts";
import { type OrderKey, orderKeyOf } from "#delivery/ordering.ts";

const HEADERS: readonly Header[] = [
  ["X-Other", "no"],
  ["x-ORDER", "17"],
  ["X-Order", "18"],
];

test.each<[OrderKey, string]>([
  [{ kind: "none" }, ""],
  [{ kind: "subject" }, "orders.eu.created"],
  [{ kind: "header", name: "x-order" }, "17"],
  [{ kind: "header", name: "x-none" }, ""],
  [{ kind: "token", index: 1 }, "orders"],
  [{ kind: "token", index: 2 }, "eu"],
  [{ kind: "token", index: 3 }, "created"],
  [{ kind: "token", index: 4 }, ""],
])("orderKeyOf() by %j is %j", (key, expected) => {
  expect(orderKeyOf({ subject: "orders.eu.created", headers: HEADERS }, key)).toBe(expected);
});
