// Formats a time relative to now: `3 min ago`, `in 2 d`.

const UNITS = [
  { name: "d", ms: 86_400_000 },
  { name: "h", ms: 3_600_000 },
  { name: "min", ms: 60_000 },
  { name: "s", ms: 1000 },
] as const;

/** `3 min ago`, `in 2 d`, `just now`; what is no date is shown as it is. */
export function toRelative(date: string, nowMs: number): string {
  const differenceMs = nowMs - Date.parse(date);
  if (Number.isNaN(differenceMs)) return date;
  if (Math.abs(differenceMs) < 1000) return "just now";
  const span = toSpan(Math.abs(differenceMs));
  return differenceMs > 0 ? `${span} ago` : `in ${span}`;
}

/** In the largest unit that it holds twice, or at all: `90 s`, `2 min`. */
export function toSpan(durationMs: number): string {
  const unit = UNITS.find(({ ms }) => durationMs >= 2 * ms) ?? UNITS[UNITS.length - 1];
  return unit === undefined ? "" : `${Math.floor(durationMs / unit.ms)} ${unit.name}`;
}
