// In which order a closing pipeline ends what is under way, and how that is called off.

import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { createClosing } from "#pipeline/closing.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function setUp() {
  const closing = createClosing();
  const aborted = () =>
    Object.entries(closing.signals).flatMap(([name, { aborted: isAborted }]) => (isAborted ? [name] : []));
  return { closing, aborted };
}

test("begin() ends what waits, and no request", () => {
  const { closing, aborted } = setUp();
  closing.begin();
  expect(aborted()).toEqual(["closing"]);
});

test("disown() ends the requests that the stream would deliver again, and no other", () => {
  const { closing, aborted } = setUp();
  closing.disown();
  expect(aborted()).toEqual(["redeliverable"]);
});

test("endAfter() ends requests after the grace, and letters 3 s later", () => {
  const { closing, aborted } = setUp();
  closing.endAfter(1000);
  jest.advanceTimersByTime(999);
  expect(aborted()).toEqual([]);
  jest.advanceTimersByTime(1);
  expect(aborted()).toEqual(["redeliverable", "final"]);
  jest.advanceTimersByTime(2999);
  expect(aborted()).not.toContain("letters");
  jest.advanceTimersByTime(1);
  expect(aborted()).toContain("letters");
});

test("endAfter() that is called off ends nothing, and a shorter one beside it does", () => {
  const { closing, aborted } = setUp();
  closing.endAfter(1000)();
  jest.advanceTimersByTime(10_000);
  expect([aborted(), jest.getTimerCount()]).toEqual([[], 0]);
  closing.endAfter(60_000);
  closing.endAfter(100);
  jest.advanceTimersByTime(100);
  expect(aborted()).toContain("final");
});
