// An entrypoint or a subscription of the descriptions works in the file as it stands.

import { expect, test } from "bun:test";
import { ENTRYPOINTS, fileWith, SUBSCRIPTIONS } from "./seed-blocks.ts";
import { configOf } from "./parse-for-test.ts";

const pairs = Object.entries(ENTRYPOINTS).flatMap(([about, entrypoint]) =>
  Object.entries(SUBSCRIPTIONS).map(
    ([what, subscription]) => [about, what, entrypoint, subscription] as const,
  ),
);

test.each(pairs)(
  "parseConfig() takes %s and a subscription with %s",
  async (_, __, entrypoint, subscription) => {
    const config = await configOf(fileWith(entrypoint, subscription));
    const [first] = config.subscriptions;
    expect(first).toMatchObject({
      id: "webhook-advanced",
      qos: "AUTO",
      source: { stream: "ORDERS", filterSubjects: [], deliverPolicy: { kind: "all" } },
      retry: { kind: "none" },
      interruptOnServerError: true,
      interruptOnException: true,
      resume: { kind: "manual" },
    });
    expect(first?.deadLetters).toHaveLength(1);
    expect(first?.callback.url.href).toBe("https://example.com/");
  },
);
