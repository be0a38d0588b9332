// Lines for systemd's journal: it takes a priority from `<N>` at their begin, as sd-daemon(3) has it.

import { fstatSync } from "node:fs";

/** The syslog priorities that the relay uses. */
const PRIORITY = { critical: 2, error: 3, warn: 4, info: 6, debug: 7 } as const;
type Priority = keyof typeof PRIORITY;

/** How text for `fd` is to be written: as it is, unless the journal reads it. */
export function forJournal(
  fd: 1 | 2,
  env: Readonly<Record<string, string | undefined>>,
): (text: string, priority: Priority) => string {
  return isJournal(fd, env) ? withPriority : String;
}

/** True: what is written to `fd` goes to the journal itself, not to somebody that a journal was given to. */
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

/** Each line with its priority; the journal makes an entry of each. */
export function withPriority(text: string, priority: Priority): string {
  return text.replaceAll(/^(?=.)/gm, `<${PRIORITY[priority]}>`);
}
