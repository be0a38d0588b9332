// Where to seek: one option, well-formed, in the words of the API.

import { expect, test } from "bun:test";
import { describeSeek, toSeek } from "#cli/seek.ts";
import { RelayError } from "#lib/errors.ts";

test.each([
  [{ to: "all" }, { to: "all" }, "from the first message that the stream has"],
  [{ sequence: "4711" }, { sequence: 4711 }, "at sequence 4711"],
  [
    { time: "2026-11-21T09:00:00+01:00" },
    { time: "2026-11-21T08:00:00.000Z" },
    "at what was stored from 2026-11-21T09:00:00+01:00 on",
  ],
])("toSeek(%p) is %p", (flags, expected, text) => {
  expect(toSeek(flags) as unknown).toEqual(expected);
  expect(describeSeek(flags)).toBe(text);
});

test.each([
  [{}, "seek takes one of --to, --sequence and --time"],
  [{ to: "new", sequence: "1" }, "seek takes one of --to, --sequence and --time"],
  [{ to: "constructor" }, '--to takes all, new or last, found "constructor"'],
  [{ sequence: "0" }, '--sequence takes a whole number from 1, found "0"'],
  [{ sequence: "1e3" }, '--sequence takes a whole number from 1, found "1e3"'],
  [{ time: "yesterday" }, '--time takes a time such as 2026-11-21T08:00:00Z, found "yesterday"'],
  [
    { time: "2026-11-21T08:00:00" },
    '--time takes a time such as 2026-11-21T08:00:00Z, found "2026-11-21T08:00:00"',
  ],
  [
    { time: "2026-13-21T08:00:00Z" },
    '--time takes a time such as 2026-11-21T08:00:00Z, found "2026-13-21T08:00:00Z"',
  ],
])("toSeek(%p) is wrong usage", (flags, message) => {
  expect(() => toSeek(flags)).toThrow(new RelayError("usage", message));
});
