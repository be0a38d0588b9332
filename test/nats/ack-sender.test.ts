// Acks are sent at once where few come, and together where many do.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { createAckSender } from "#nats/ack-sender.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function createWatched() {
  const sent: string[] = [];
  let isUp = true;
  const acks = createAckSender({ publish: (batch) => sent.push(...batch), isUp: () => isUp });
  return { acks, sent, setUp: (next: boolean) => (isUp = next) };
}

test("send() sends the first ack at once, and batches those that follow closely", () => {
  const { acks, sent } = createWatched();
  for (const ack of ["a", "b", "c"]) acks.send(ack, { isUrgent: false });
  expect(sent).toEqual(["a"]);
  jest.advanceTimersByTime(1);
  expect(sent).toEqual(["a", "b", "c"]);
});

test("send() sends sparse acks at once, without a timer", () => {
  const { acks, sent } = createWatched();
  for (const ack of ["a", "b", "c"]) {
    acks.send(ack, { isUrgent: false });
    expect(sent.at(-1)).toBe(ack);
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(10);
  }
});

test("send() sends an urgent ack at once, with all waiting ones", () => {
  const { acks, sent } = createWatched();
  acks.send("a", { isUrgent: false });
  acks.send("b", { isUrgent: false });
  acks.send("c", { isUrgent: true });
  expect(sent).toEqual(["a", "b", "c"]);
  expect(jest.getTimerCount()).toBe(0);
});

test("send() keeps acks for repeat() while the connection is down", () => {
  const { acks, sent, setUp } = createWatched();
  setUp(false);
  acks.send("a", { isUrgent: false });
  jest.advanceTimersByTime(10);
  expect(sent).toEqual([]);
  setUp(true);
  acks.repeat();
  expect(sent).toEqual(["a"]);
  acks.confirm(acks.mark());
  expect(acks.unconfirmed).toBe(0);
});
