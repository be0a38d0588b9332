import { expect, test } from "bun:test";

import { isWithinLimit } from "#http/limit.ts";

const of = (application: string | null) => ({ entrypoint: "webhook", application });

test("isWithinLimit() shows an application its own subscriptions only", () => {
  const limit = { entrypoint: null, application: "shop" };
  const seen = ["shop", "bank", null].map((application) => isWithinLimit(limit, of(application)));
  expect(seen).toEqual([true, false, false]);
  expect(isWithinLimit({ entrypoint: null, application: null }, of(null))).toBe(true);
});

test("isWithinLimit() shows nothing of another entrypoint below a context path", () => {
  const seen = ["webhook", "other"].map((entrypoint) =>
    isWithinLimit({ entrypoint, application: null }, of("shop")),
  );
  expect(seen).toEqual([true, false]);
});
