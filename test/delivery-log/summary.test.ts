// A summary never hides a record that meets a filter, and hides nearly all blocks that hold none.

import { expect, test } from "bun:test";
import { EVERY_RECORD, type RecordFilter } from "#delivery/record.ts";
import { createOpenBlock, mayHold, type Summary } from "#delivery-log/summary.ts";
import { toRecord } from "./records.ts";

function toSummary(count: number, variety: number): Summary {
  const block = createOpenBlock();
  for (let index = 0; index < count; index += 1) block.add(recordOf(index, variety));
  const { bloom, ...rest } = block.summarize();
  return { ...(JSON.parse(JSON.stringify(rest)) as typeof rest), bloom };
}

function recordOf(index: number, variety: number) {
  const kind = index % variety;
  return toRecord({
    date: new Date(1_000_000 + index),
    status: kind === 1 ? 503 : 200,
    subscription: `sub-${kind}`,
    application: kind % 2 === 0 ? null : `app-${kind}`,
    entrypoint: `entry-${kind % 3}`,
    callbackUrl: `https://host-${kind}.example/`,
    message: { stream: "ORDERS", sequence: 2 ** 33 + index, timeToken: "a", subject: `orders.${kind}.new` },
  });
}

const meets = (filter: Partial<RecordFilter>, summary: Summary) =>
  mayHold(summary, { ...EVERY_RECORD, ...filter });

test.each([3, 200, 2000])(
  "mayHold() is true for every record of a block, with %d distinct values",
  (variety) => {
    const summary = toSummary(2000, variety);
    for (let index = 0; index < 2000; index += 7) {
      const { subscription, application, entrypoint, callbackUrl, message, status, date } = recordOf(
        index,
        variety,
      );
      const held: readonly Partial<RecordFilter>[] = [
        { subscription: [subscription] },
        { application: application === null ? [] : [application] },
        { entrypoint: [entrypoint] },
        { callbackUrl: ["nowhere", callbackUrl.slice(8, 14)] },
        { sequence: [1, message.sequence] },
        { message: [message] },
        { subject: [message.subject] },
        { subject: ["orders.*.new"] },
        { status: [{ kind: "exact", status }] },
        { from: date, to: new Date(date.getTime() + 1) },
      ];
      for (const filter of held) expect(meets(filter, summary)).toBe(true);
    }
  },
);

test("mayHold() is false for values that no record has", () => {
  const summary = toSummary(2000, 2000);
  const absent = Array.from({ length: 1000 }, (_, index) => index + 1);
  const found = absent.filter(
    (sequence) =>
      meets({ sequence: [sequence] }, summary) ||
      meets({ subscription: [`other-${sequence}`] }, summary) ||
      meets({ subject: [`orders.other-${sequence}`] }, summary),
  );
  expect(found.length).toBeLessThan(100);
  expect(meets({ status: [{ kind: "class", hundreds: 4 }] }, summary)).toBe(false);
  expect(meets({ to: new Date(1_000_000) }, summary)).toBe(false);
  expect(meets({ from: new Date(1_002_000) }, summary)).toBe(false);
  const few = toSummary(2000, 3);
  expect(meets({ callbackUrl: ["nowhere"] }, few)).toBe(false);
  expect(meets({ subject: ["*.*.old"] }, few)).toBe(false);
});
