// `relay dlq purge`: counts the dead letters that match, asks for confirmation, and deletes no more than it counted.

import { RelayError } from "#lib/errors.ts";
import { toSafeJson } from "#lib/printable.ts";
import { type PurgeBody, purgeOutcomeSchema, type PurgeOutcomeView } from "#wire/dead-letter.ts";
import { parseAnswer } from "./answers.ts";
import { type Client, expectDone } from "./client.ts";
import { confirmed } from "./confirm.ts";
import { checkLetterIds } from "./letter-details.ts";
import { type LetterFilterMembers, toLetterFilterMembers } from "./letter-filter.ts";
import type { Flags, RemoteCall } from "./remote-command.ts";

/** Named ones, or all that meet a filter. */
export type LetterChoice =
  | { readonly kind: "ids"; readonly ids: string[] }
  | { readonly kind: "filter"; readonly filter: LetterFilterMembers };

interface Found {
  readonly matched: number;
  /** With it a later call sees nothing newer. */
  readonly start: string;
}

const MAX_IDS = 1000;
/** Ten thousand letters each, at most. */
const MAX_CALLS = 10_000;
const PURGE_MS = 60_000;

/** `--all` stands for a filter that everything meets. Throws a RelayError `usage`. */
export function toLetterChoice(
  flags: Flags,
  { args, nowMs }: { args: readonly string[]; nowMs: number },
): LetterChoice {
  const filter = toLetterFilterMembers(flags, nowMs);
  const ways = [args.length > 0, Object.keys(filter).length > 0, flags["all"] === true];
  if (ways.filter(Boolean).length !== 1) {
    throw new RelayError("usage", "Name ids, or give filters, or --all: one of the three");
  }
  if (args.length === 0) return { kind: "filter", filter };
  checkLetterIds(args);
  if (args.length > MAX_IDS) throw new RelayError("usage", `At most ${MAX_IDS} ids can be named`);
  return { kind: "ids", ids: [...new Set(args)] };
}

export async function runPurge(call: RemoteCall): Promise<number> {
  const { client, args, flags, io, nowMs } = call;
  const choice = toLetterChoice(flags, { args, nowMs });
  const found = await findLetters(client, choice);
  const isJson = flags["json"] === true;
  const write = (purged: number, text: string) =>
    io.stdout(isJson ? toSafeJson({ matched: found.matched, purged }) : text);
  const hasAll = choice.kind === "filter" || found.matched >= choice.ids.length;
  if (flags["dryRun"] === true || found.matched === 0) {
    write(
      0,
      flags["dryRun"] === true ? `${nameOf(found.matched)} would be purged\n` : "No dead letters to purge\n",
    );
    return hasAll ? 0 : 1;
  }
  const what = `purge ${nameOf(found.matched)}`;
  if (!(await confirmed(call, { what, question: `P${what.slice(1)} for good?` }))) {
    io.stdout("Nothing was purged\n");
    return 1;
  }
  const purged =
    choice.kind === "ids" ? await purgeIds(client, choice.ids) : await purgeFilter(client, choice, found);
  write(purged, `${nameOf(purged)} purged\n`);
  return hasAll ? 0 : 1;
}

/** How many there are now. Foreign entries are counted only where they are named. */
export async function findLetters(client: Client, choice: LetterChoice): Promise<Found> {
  if (choice.kind === "ids") return callPurge(client, { ids: choice.ids, dryRun: true });
  const { filter } = choice;
  const first = await callPurge(client, { filter, dryRun: true });
  let { matched, next } = first;
  for (let calls = 1; next !== null; calls += 1) {
    if (calls === MAX_CALLS) throw tooMany();
    const more = await callPurge(client, { filter, dryRun: true, cursor: next });
    matched += more.matched;
    ({ next } = more);
  }
  return { matched, start: first.start };
}

async function purgeIds(client: Client, ids: string[]): Promise<number> {
  return (await callPurge(client, { ids })).purged;
}

async function purgeFilter(
  client: Client,
  { filter }: LetterChoice & { kind: "filter" },
  { matched, start }: Found,
): Promise<number> {
  let purged = 0;
  let cursor: string | null = start;
  for (let calls = 0; cursor !== null && purged < matched; calls += 1) {
    if (calls === MAX_CALLS) throw tooMany();
    const outcome = await callPurge(client, { filter, cursor, confirm: matched - purged });
    if (outcome.purged === 0 && outcome.next === cursor)
      throw new RelayError(
        "unavailable",
        `Cannot purge more than ${purged} of ${matched}: the relay gets no further`,
      );
    purged += outcome.purged;
    cursor = outcome.next;
  }
  return purged;
}

async function callPurge(client: Client, body: PurgeBody): Promise<PurgeOutcomeView> {
  const answer = await client.ask("DELETE", "api/dead-letters", { body, limitMs: PURGE_MS });
  return parseAnswer(purgeOutcomeSchema, expectDone(answer, "purge"));
}

function nameOf(count: number): string {
  return count === 1 ? "1 dead letter" : `${count} dead letters`;
}

function tooMany(): RelayError {
  return new RelayError("unavailable", "Cannot purge so many at once: filter by --from and --to");
}
