// Where to seek: one option, well-formed, in the words of the API.

import { expect, test } from "bun:test";
import { describeSeek, toSeek } from "#cli/seek.ts";
import { RelayError } from "#lib/errors.ts";

const NOW_MS = Date.parse("2026-11-21T12:00:00Z");

test.each([
  [{ to: "all" }, { to: "all" }],
  [{ sequence: "4711" }, { sequence: 4711 }],
  [{ time: "2026-11-21T09:00:00+01:00" }, { time: "2026-11-21T08:00:00.000Z" }],
  [{ time: "2h" }, { time: "2026-11-21T10:00:00.000Z" }],
  [{ time: "2026-11-20" }, { time: "2026-11-20T00:00:00.000Z" }],
])("toSeek(%p) is %p", (flags, expected) => {
  expect(toSeek(flags, NOW_MS) as unknown).toEqual(expected);
});

test.each([
  [{ to: "all" }, 1, "--to all (sequence 1): about 2,600 messages are sent again"],
  [{ sequence: "7" }, 7, "--sequence 7: about 2,600 messages are sent again"],
  [{ time: "2h" }, null, "--time 2h: about 2,600 messages are sent again"],
])("describeSeek(%p) repeats what was typed, with the effect", (flags, sequence, text) => {
  expect(describeSeek(flags, { sequence, effect: "about 2,600 messages are sent again" })).toBe(text);
});

const TIMES = "--time takes a time such as 2026-11-21T08:00:00Z, a date, or how long ago, such as 2h or 3d";

test.each([
  [{}, "seek takes one of --to, --sequence and --time"],
  [{ to: "new", sequence: "1" }, "seek takes one of --to, --sequence and --time"],
  [{ to: "constructor" }, '--to takes all, new or last, found "constructor"'],
  [{ sequence: "0" }, '--sequence takes a whole number from 1, found "0"'],
  [{ sequence: "1e3" }, '--sequence takes a whole number from 1, found "1e3"'],
  [{ time: "yesterday" }, `${TIMES}, found "yesterday"`],
  [{ time: "2026-11-21T08:00:00" }, `${TIMES}, found "2026-11-21T08:00:00"`],
  [{ time: "2026-13-21T08:00:00Z" }, `${TIMES}, found "2026-13-21T08:00:00Z"`],
])("toSeek(%p) is wrong usage", (flags, message) => {
  expect(() => toSeek(flags, NOW_MS)).toThrow(new RelayError("usage", message));
});
