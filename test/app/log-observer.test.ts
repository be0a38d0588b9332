// What happens to many at once makes one line, and later one that says how many they are.

import { expect, test } from "bun:test";
import { createLogObserver, createWaitsLog } from "#app/log-observer.ts";
import { withFields } from "#lib/logger.ts";
import { eventually } from "../support/eventually.ts";
import { createRecordingLogger } from "../support/nats.ts";
import { toSubscription } from "../support/subscription.ts";

test("createWaitsLog() logs the first of each reason, and then how many others there were", async () => {
  const logger = createRecordingLogger();
  const waitsLog = createWaitsLog(logger, { intervalMs: 50 });
  const wait = (subscription: string, reason: string) =>
    waitsLog(subscription, withFields(logger, { subscription })).warn("Subscription waits", { reason });
  for (let i = 1; i <= 4000; i += 1) wait(`s${i}`, `Cannot consume ORDERS as relay-s${i}: no more consumers`);
  wait("other", "Cannot consume OTHERS as relay-other: stream not found");
  expect(logger.lines.map(({ fields }) => fields["subscription"])).toEqual(["s1", "other"]);
  const summary = await eventually(() => logger.lines[2]);
  expect(summary).toMatchObject({
    level: "warn",
    message: "More subscriptions wait",
    fields: { subscriptions: 3999, reason: "Cannot consume ORDERS as relay-…: no more consumers" },
  });
  wait("s1", "Cannot consume ORDERS as relay-s1: no more consumers");
  expect(logger.lines).toHaveLength(4);
});

test("createLogObserver() logs once a minute that attempts are postponed, and how many were", () => {
  const logger = createRecordingLogger();
  let now = 0;
  const { postponed } = createLogObserver(logger, { now: () => now });
  const exception = { kind: "exception", code: "descriptors", error: "none left" } as const;
  for (; now <= 60_000; now += 10_000) postponed({ subscription: toSubscription({ id: "sub" }), exception });
  const line = { level: "error", message: "Out of file descriptors: messages wait" };
  const fields = { subscription: "sub", reason: "none left" };
  expect(logger.lines).toMatchObject([
    { ...line, fields: { ...fields, attempts: 1 } },
    { ...line, fields: { ...fields, attempts: 6 } },
  ]);
});
