// Who reads what is written, and how its priority is told.

import { expect, test } from "bun:test";
import { closeSync, fstatSync, openSync } from "node:fs";
import { isJournal, withPriority } from "#systemd/journal.ts";

test("isJournal() is true for the very stream that JOURNAL_STREAM names", () => {
  const fd = openSync("/dev/null", "w");
  const { dev, ino } = fstatSync(fd);
  expect(isJournal(fd, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(true);
  expect(isJournal(fd, { JOURNAL_STREAM: `${dev}:${ino + 1}` })).toBe(false);
  expect(isJournal(fd, {})).toBe(false);
  closeSync(fd);
  expect(isJournal(fd, { JOURNAL_STREAM: `${dev}:${ino}` })).toBe(false);
});

test("withPriority() marks each line that is not empty", () => {
  expect(withPriority('{"level":"warn"}', "warn")).toBe('<4>{"level":"warn"}');
  expect(withPriority("a bug\n\n  at here\n", "critical")).toBe("<2>a bug\n\n<2>  at here\n");
});
