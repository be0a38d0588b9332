// The filter options of `relay dlq`.

import { LETTER_REASONS, parseStatusFilter } from "#delivery/letter.ts";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import type { LetterFilterBody } from "#wire/dead-letter.ts";
import { timeRange } from "./time-argument.ts";
import { type Flags, type RemoteOption, repeatable, textsOf } from "./remote-command.ts";

/** The query for the API, without filters that were not given. */
export type LetterFilterMembers = LetterFilterBody & Readonly<Record<string, string | string[]>>;

export const LETTER_FILTER_OPTIONS: readonly RemoteOption[] = [
  repeatable("--subscription <id>", "of this subscription"),
  repeatable("--entrypoint <id>", "of this entrypoint"),
  repeatable("--application <name>", "of this application"),
  repeatable("--reason <reason>", "rejected, server-error, exception, expression or expired"),
  repeatable("--status <status>", "status of the last response: 404, 4xx, or 0 for no response"),
  { flags: "--from <time>", description: "dead-lettered at this time or later" },
  { flags: "--to <time>", description: "dead-lettered before this time" },
  repeatable("--error <text>", "with this text in the error, ignoring case"),
];

const NAMES = ["subscription", "entrypoint", "application", "error", "reason", "status"] as const;

/** Throws a RelayError `usage`. */
export function toLetterFilterMembers(flags: Flags, nowMs: number): LetterFilterMembers {
  checkStatuses(flags);
  checkReasons(flags);
  const members = [
    ...NAMES.map((name) => [name, [...textsOf(flags, name)]] as const),
    ...Object.entries(timeRange(flags, nowMs)).map(([name, time]) => [name, time ?? []] as const),
  ];
  return Object.fromEntries(members.filter(([, value]) => value.length > 0));
}

/** `?a=b&a=c&d=e`, or nothing. */
export function toQuery(members: Readonly<Record<string, string | readonly string[] | undefined>>): string {
  const pairs = Object.entries(members).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  );
  const query = new URLSearchParams(pairs).toString();
  return query === "" ? "" : `?${query}`;
}

function checkStatuses(flags: Flags): void {
  const wrong = textsOf(flags, "status").find((text) => parseStatusFilter(text) === null);
  if (wrong !== undefined)
    throw new RelayError("usage", `--status takes 404, 4xx or 0, found "${clean(wrong)}"`);
}

function checkReasons(flags: Flags): void {
  const wrong = textsOf(flags, "reason").find((text) => !LETTER_REASONS.some((reason) => reason === text));
  if (wrong !== undefined)
    throw new RelayError("usage", `--reason takes ${LETTER_REASONS.join(", ")}, found "${clean(wrong)}"`);
}
