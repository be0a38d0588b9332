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

test("send() sends the first ack at once, and those that follow it closely together", () => {
  const { acks, sent } = createWatched();
  for (const ack of ["a", "b", "c"]) acks.send(ack, { isUrgent: false });
  expect(sent).toEqual(["a"]);
  jest.advanceTimersByTime(1);
  expect(sent).toEqual(["a", "b", "c"]);
});

test("send() sends each at once where they come one by one: no timer wakes the process for them", () => {
  const { acks, sent } = createWatched();
  for (const ack of ["a", "b", "c"]) {
    acks.send(ack, { isUrgent: false });
    expect(sent.at(-1)).toBe(ack);
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(10);
  }
});

test("send() sends an urgent ack at once, with all that wait", () => {
  const { acks, sent } = createWatched();
  acks.send("a", { isUrgent: false });
  acks.send("b", { isUrgent: false });
  acks.send("c", { isUrgent: true });
  expect(sent).toEqual(["a", "b", "c"]);
  expect(jest.getTimerCount()).toBe(0);
});

test("send() keeps what cannot be sent for repeat()", () => {
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
