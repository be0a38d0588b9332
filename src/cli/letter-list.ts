// `relay dlq list` and `relay dlq counts`: prints the dead letters, and how many there are.

import { RelayError } from "#lib/errors.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import {
  type DeadLetterCounts,
  deadLetterCountsSchema,
  type DeadLetterPage,
  deadLetterPageSchema,
  type DeadLetterView,
} from "#wire/dead-letter.ts";
import { parseAnswer } from "./answers.ts";
import { type Client, expectDone } from "./client.ts";
import { toLetterFilterMembers, toQuery } from "./letter-filter.ts";
import { toRelative } from "./relative-time.ts";
import { type Flags, type RemoteCall, textOf, wholeNumberOf } from "./remote-command.ts";
import { type Column, formatTable } from "./table.ts";
import { paint, type Screen } from "./terminal.ts";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;
const MAX_PAGES = 100_000;

/** Throws a RelayError `usage`. */
export function checkLetterList(flags: Flags): void {
  toLetterFilterMembers(flags, Date.now());
  limitOf(flags);
  if (flags["all"] !== true || (textOf(flags, "limit") ?? textOf(flags, "cursor")) === null) return;
  throw new RelayError("usage", "--all goes without --limit and --cursor");
}

/** Exits with 1 if a dead-letter stream could not be read. */
export async function listLetters({ client, flags, io, screen, nowMs }: RemoteCall): Promise<number> {
  const members = toLetterFilterMembers(flags, nowMs);
  const isAll = flags["all"] === true;
  const limit = String(limitOf(flags));
  const write = flags["json"] === true ? writeJson : writeLines;
  const faults = new Set<string>();
  let cursor = textOf(flags, "cursor");
  let before = 0;
  for (let at = 0; at < MAX_PAGES; at += 1) {
    const query = toQuery({ ...members, limit, ...(cursor === null ? {} : { cursor }) });
    const page = await readPage(client, query);
    for (const fault of page.faults) faults.add(fault);
    const isLast = !isAll || page.next === null;
    io.stdout(write(page, { isFirst: at === 0, before, isLast, screen, nowMs }));
    before += page.items.length;
    cursor = page.next;
    if (isLast) break;
  }
  for (const fault of faults) io.stderr(`Cannot read all: ${clean(fault)}\n`);
  return faults.size === 0 ? 0 : 1;
}

export async function countLetters({ client, flags, io }: RemoteCall): Promise<number> {
  const value = expectDone(await client.ask("GET", "api/dead-letters/counts"), "count the dead letters");
  const counts = parseAnswer(deadLetterCountsSchema, value);
  io.stdout(flags["json"] === true ? toSafeJson(value) : formatCounts(counts));
  for (const fault of counts.faults) io.stderr(`Cannot read all: ${clean(fault)}\n`);
  return counts.faults.length === 0 ? 0 : 1;
}

async function readPage(client: Client, query: string): Promise<DeadLetterPage> {
  return parseAnswer(
    deadLetterPageSchema,
    expectDone(await client.ask("GET", `api/dead-letters${query}`), "list the dead letters"),
  );
}

function limitOf(flags: Flags): number {
  const limit = wholeNumberOf(flags, { name: "limit", min: 1, max: MAX_LIMIT });
  return flags["all"] === true ? MAX_LIMIT : (limit ?? DEFAULT_LIMIT);
}

interface Place {
  readonly isFirst: boolean;
  /** How many were written already. */
  readonly before: number;
  readonly isLast: boolean;
  readonly screen: Screen;
  readonly nowMs: number;
}

/** One document, however many pages it is made of. */
function writeJson({ items, next, faults }: DeadLetterPage, { isFirst, before, isLast }: Place): string {
  const begin = isFirst ? '{ "items": [\n' : "";
  const comma = before > 0 && items.length > 0 ? ",\n" : "";
  const lines = items.map((item) => toSafeJson(item).trimEnd()).join(",\n");
  if (!isLast) return begin + comma + lines;
  const rest = [`"next": ${JSON.stringify(next)}`, `"faults": ${toSafeJson(faults).trimEnd()}`];
  return `${begin + comma + lines}\n],\n${rest.join(",\n")} }\n`;
}

function writeLines({ items, next, continuesAt }: DeadLetterPage, place: Place): string {
  const { before, isLast, screen, nowMs } = place;
  const table = items.length === 0 ? "" : formatLetters(items, { screen, nowMs });
  if (!isLast) return table;
  if (next === null) return before + items.length === 0 ? "No dead letters match.\n" : table;
  const reached = continuesAt === null ? "" : `Looked back to ${clean(continuesAt)} so far. `;
  const hint = `${reached}More with --all, or from here with --cursor ${clean(next)}`;
  return `${table}${paint(screen, "dim", hint)}\n`;
}

function formatLetters(
  letters: readonly DeadLetterView[],
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  const columns: readonly Column<DeadLetterView>[] = [
    { title: "ID", textOf: ({ id }) => id, isWhole: true },
    { title: "DATE", textOf: ({ date }) => toRelative(date, nowMs) },
    { title: "REASON", textOf: reasonOf, styleOf: ({ isForeign }) => (isForeign ? "dim" : "yellow") },
    { title: "STATUS", textOf: ({ status }) => toCount(status), isNumber: true },
    { title: "ATTEMPTS", textOf: ({ attempts }) => toCount(attempts), isNumber: true },
    { title: "REPLAYS", textOf: toReplays, isNumber: true },
    { title: "SIZE", textOf: ({ size }) => String(size), isNumber: true },
    { title: "SUBJECT", textOf: ({ subject }) => subject ?? "" },
    { title: "ERROR", textOf: ({ error }) => error ?? "" },
  ];
  return formatTable(letters, { columns, screen });
}

function reasonOf({ isForeign, reason }: DeadLetterView): string {
  return isForeign ? "not of Relay" : (reason ?? "unknown");
}

function toReplays({ replays, isExhausted }: DeadLetterView): string {
  if (isExhausted) return `${replays} (exhausted)`;
  return replays === 0 ? "" : String(replays);
}

function toCount(count: number | null): string {
  return count === null ? "" : String(count);
}

function formatCounts({ letters, foreign, byReason, bySubscription, isComplete }: DeadLetterCounts): string {
  const row = ([name, count]: readonly [string, number]) =>
    `${String(count).padStart(width)}  ${clean(name)}`;
  const reasons = Object.entries(byReason).filter(([, count]) => count > 0);
  const subscriptions = Object.entries(bySubscription).toSorted(([, one], [, other]) => other - one);
  const width = String(Math.max(letters, foreign)).length;
  const lines = [
    row([isComplete ? "dead letters" : "dead letters, and more that were not counted", letters]),
    ...reasons.map(row),
    ...(subscriptions.length === 0 ? [] : ["by subscription", ...subscriptions.map(row)]),
    ...(foreign === 0 ? [] : [row(["entries that Relay did not write", foreign])]),
  ];
  return lines.map((line) => `${line}\n`).join("");
}
