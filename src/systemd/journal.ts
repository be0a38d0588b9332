// Formats log lines for systemd's journal, with the priority prefix `<N>` of sd-daemon(3).

import { fstatSync } from "node:fs";

/** The syslog priorities that the relay uses. */
const PRIORITY = { critical: 2, error: 3, warn: 4, info: 6, debug: 7 } as const;
type Priority = keyof typeof PRIORITY;

/** Returns the text for `fd`: with priorities if the journal reads it, else unchanged. */
export function forJournal(
  fd: 1 | 2,
  env: Readonly<Record<string, string | undefined>>,
): (text: string, priority: Priority) => string {
  return isJournal(fd, env) ? withPriority : String;
}

/** True: `fd` is the journal itself, not a pipe to a program that was given a journal. */
export function isJournal(fd: number, env: Readonly<Record<string, string | undefined>>): boolean {
  const wanted = env["JOURNAL_STREAM"];
  if (wanted === undefined || wanted === "") return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return wanted === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Prefixes each line with the priority; the journal makes an entry of each. */
export function withPriority(text: string, priority: Priority): string {
  return text.replaceAll(/^(?=.)/gm, `<${PRIORITY[priority]}>`);
}
