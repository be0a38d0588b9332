// How many messages may be asked for: by places, by bytes, and by how far away NATS is.

import { expect, test } from "bun:test";

import { createCredit } from "#consumer/credit.ts";

const SMALL = { bytes: 100, pending: 50, waitedMs: null };
const FIRST = { ...SMALL, waitedMs: 150 };

test("room() counts messages that a former pump left in flight", () => {
  const credit = createCredit({ capacity: { usual: 10, most: 10 }, held: 7 });
  expect(credit.room().messages).toBe(3);
  for (let i = 0; i < 8; i += 1) credit.release();
  expect(credit).toMatchObject({ held: 0, window: 10 });
});

test("room() for large messages is limited by their size, but at least one", () => {
  const credit = createCredit({ capacity: { usual: 100, most: 100 }, held: 0 });
  for (let i = 0; i < 100; i += 1) {
    credit.take({ ...SMALL, bytes: 100 * 1024 * 1024 });
    credit.release();
  }
  expect(credit.room().messages).toBe(1);
});

test("room() grows while pulls take longer than the work, up to the maximum, and shrinks again", () => {
  const credit = createCredit({ capacity: { usual: 4, most: 40 }, held: 0 });
  const windows = Array.from({ length: 7 }, () => {
    credit.take(FIRST);
    credit.release();
    return credit.window;
  });
  expect(windows).toEqual([4, 4, 8, 16, 32, 40, 40]);
  for (let i = 0; i < 5; i += 1) credit.take(SMALL);
  for (let i = 0; i < 40; i += 1) {
    credit.take(FIRST);
    credit.release();
  }
  expect(credit.window).toBe(4);
});

test.each([
  ["the consumer has nothing else", { usual: 4, most: 40 }, { ...FIRST, pending: 0 }],
  ["something is held", { usual: 4, most: 40 }, SMALL],
  ["no more may be held", { usual: 1, most: 1 }, FIRST],
  ["NATS is near", { usual: 4, most: 40 }, { ...FIRST, waitedMs: 5 }],
])("room() does not grow if %s", (_, capacity, message) => {
  const credit = createCredit({ capacity, held: 0 });
  for (let i = 0; i < 10; i += 1) {
    credit.take(message);
    credit.release();
  }
  expect(credit.window).toBe(capacity.usual);
});

test("room() is 0 at a capacity of 0", () => {
  const credit = createCredit({ capacity: { usual: 4, most: 40 }, held: 0 });
  credit.setCapacity({ usual: 0, most: 0 });
  expect(credit.room().messages).toBe(0);
  credit.take(FIRST);
  credit.release();
  expect(credit.room().messages).toBe(0);
  credit.setCapacity({ usual: 4, most: 40 });
  expect(credit.room().messages).toBe(4);
});
