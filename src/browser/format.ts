// PURE. Formats numbers, durations and dates.

const COUNT = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export function formatCount(count: number): string {
  return count < 100_000 ? COUNT.format(count) : SHORT.format(count);
}

export function formatRate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  if (perSecond < 0.1) return `${formatCount(Math.max(1, Math.round(perSecond * 60)))}/min`;
  return `${perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond))}/s`;
}

/** Rounded down: 100 % is said only where nothing failed. */
export function formatShare(part: number, whole: number): string {
  if (whole === 0) return "–";
  const percent = Math.floor((part / whole) * 1000) / 10;
  return `${percent === 100 ? "100" : percent.toFixed(1)} %`;
}

export function formatDuration(durationMs: number): string {
  if (durationMs < 10) return `${durationMs.toFixed(1)} ms`;
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return formatSpan(durationMs);
}

/** In its largest unit. */
export function formatSpan(spanMs: number): string {
  const seconds = Math.max(0, Math.round(spanMs / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

/** `in 40 s`. */
export function formatNextTry(date: string, now: Date): string {
  const leftMs = Date.parse(date) - now.getTime();
  return leftMs < 1000 ? "now" : `in ${formatSpan(leftMs)}`;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** In the reader's time zone: the time of today, else with its date. */
export function formatTime(date: string, now: Date): string {
  const time = new Date(date);
  const two = (part: number) => String(part).padStart(2, "0");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  if (time.toDateString() === now.toDateString()) return clock;
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return `${day} ${clock}`;
}

/** Whole, to the millisecond, in the reader's time zone, which it names. */
export function formatMoment(date: string): string {
  const time = new Date(date);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":");
  return `${day} ${clock}.${String(time.getMilliseconds()).padStart(3, "0")} ${zoneOf(time)}`;
}

/** The reader's, as it is called at that time. */
export function zoneOf(time: Date): string {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(time);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "local time";
}

/** `1 message`, `2,000 messages`. */
export function formatSome(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}
