// The filter options of `relay dlq`.

import { LETTER_REASONS, parseStatusFilter } from "#delivery/letter.ts";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import type { LetterFilterBody } from "#wire/dead-letter.ts";
import { timeArgument } from "./time-argument.ts";
import { type Flags, type RemoteOption, textOf } from "./remote-command.ts";

/** The query for the API, without filters that were not given. */
export type LetterFilterMembers = LetterFilterBody & Readonly<Record<string, string>>;

export const LETTER_FILTER_OPTIONS: readonly RemoteOption[] = [
  { flags: "--subscription <id>", description: "of this subscription" },
  { flags: "--entrypoint <id>", description: "of this entrypoint" },
  { flags: "--application <name>", description: "of this application" },
  { flags: "--reason <reason>", description: "rejected, server-error, exception, expression or expired" },
  { flags: "--status <status>", description: "status of the last response: 404, 4xx, or 0 for no response" },
  { flags: "--from <time>", description: "dead-lettered at this time or later" },
  { flags: "--to <time>", description: "dead-lettered before this time" },
  { flags: "--error <text>", description: "with this text in the error, ignoring case" },
];

const TEXTS = [
  "subscription",
  "entrypoint",
  "application",
  "error",
] as const satisfies readonly (keyof LetterFilterBody)[];

/** Throws a RelayError `usage`. */
export function toLetterFilterMembers(flags: Flags, nowMs: number): LetterFilterMembers {
  const members = [
    ...TEXTS.map((name) => [name, textOf(flags, name)] as const),
    ["reason", reasonOf(flags)] as const,
    ["status", statusFlag(flags)] as const,
    ["from", timeArgument(flags, { name: "from", nowMs })] as const,
    ["to", timeArgument(flags, { name: "to", nowMs })] as const,
  ];
  return Object.fromEntries(members.flatMap(([name, value]) => (value === null ? [] : [[name, value]])));
}

/** `?a=b&a=c&d=e`, or nothing. */
export function toQuery(members: Readonly<Record<string, string | readonly string[]>>): string {
  const pairs = Object.entries(members).flatMap(([name, value]) =>
    [value].flat().map((one): [string, string] => [name, one]),
  );
  const query = new URLSearchParams(pairs).toString();
  return query === "" ? "" : `?${query}`;
}

function statusFlag(flags: Flags): string | null {
  const text = textOf(flags, "status");
  if (text === null || parseStatusFilter(text) !== null) return text;
  throw new RelayError("usage", `--status takes 404, 4xx or 0, found "${clean(text)}"`);
}

function reasonOf(flags: Flags): string | null {
  const text = textOf(flags, "reason");
  if (text === null || LETTER_REASONS.some((reason) => reason === text)) return text;
  throw new RelayError("usage", `--reason takes ${LETTER_REASONS.join(", ")}, found "${clean(text)}"`);
}
