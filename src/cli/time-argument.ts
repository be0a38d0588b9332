// Parses a time as people type it: a timestamp, a date, or how long ago.

import { isOnCalendar, TIMESTAMP } from "#schema/parts.ts";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import { type Flags, textOf } from "./remote-command.ts";

const DATE = /^\d{4}-\d\d-\d\d$/u;
const AGO = /^(\d{1,6})(s|min|m|h|d|w)$/u;
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

export const TIME_ARGUMENT_NOTE =
  "A time is RFC 3339 (2026-11-21T08:00:00Z), a date (its midnight in UTC), or how long ago: 90s, 15m, 2h, 3d, 1w.";

/** As the API takes it: in UTC. Null: it was not given. Throws a RelayError `usage`. */
export function timeArgument(flags: Flags, { name, nowMs }: { name: string; nowMs: number }): string | null {
  const text = textOf(flags, name);
  if (text === null) return null;
  const date = toDate(text, nowMs);
  if (date !== null) return date.toISOString();
  const forms = "a time such as 2026-11-21T08:00:00Z, a date, or how long ago, such as 2h or 3d";
  throw new RelayError("usage", `--${name} takes ${forms}, found "${clean(text)}"`);
}

/** `--from` and `--to`. Throws a RelayError `usage` for what no time is in. */
export function timeRange(
  flags: Flags,
  nowMs: number,
): { readonly from: string | null; readonly to: string | null } {
  const [from, to] = [
    timeArgument(flags, { name: "from", nowMs }),
    timeArgument(flags, { name: "to", nowMs }),
  ];
  if (from !== null && to !== null && Date.parse(to) < Date.parse(from))
    throw new RelayError("usage", "--to is before --from");
  return { from, to };
}

function toDate(text: string, nowMs: number): Date | null {
  const [, amount, unit = ""] = AGO.exec(text) ?? [];
  const time = amount === undefined ? toTime(text) : nowMs - Number(amount) * (UNITS_MS[unit] ?? 0);
  return Number.isNaN(time) || time < 0 ? null : new Date(time);
}

/** A date that the calendar does not have would silently be another one. */
function toTime(text: string): number {
  const isTime = TIMESTAMP.test(text) || DATE.test(text);
  return isTime && isOnCalendar(text) ? Date.parse(text) : Number.NaN;
}
