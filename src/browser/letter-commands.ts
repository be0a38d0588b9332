// Replays and purges dead letters: counts them, asks for confirmation, and does no more than was counted.

import type { LetterFilterBody, PurgeBody, PurgeOutcomeView } from "#wire/dead-letter.ts";
import type { ReplayBody } from "#wire/replay.ts";
import { isConsumersPage } from "./address.ts";
import { type CallResult, call } from "./api.ts";
import { ask } from "./dialog.ts";
import { h } from "./dom.ts";
import { formatCount, formatSome } from "./format.ts";
import { notify } from "./notice.ts";

/** One count or purge may take its time. */
const WITHIN_MS = 60_000;
const MAX_CALLS = 1000;
const MAX_ASKED = "1000";

/** Which letters are meant: named ones, or those that meet a filter. */
type LetterSelection = { readonly ids: string[] } | { readonly filter: LetterFilterBody };

interface Counted {
  readonly matched: number;
  readonly start: string;
}

interface ReplayOptions {
  /** Whose letters all of them are; null: of several, or not known. */
  readonly subscription: string | null;
  readonly onStarted: (id: string, matched: number) => void;
}

export async function replay(
  selection: LetterSelection,
  { subscription, onStarted }: ReplayOptions,
): Promise<void> {
  const counted = await count(selection);
  if (counted === null) return;
  const force = h("input", { type: "checkbox" });
  const label =
    "Also what may have reached a callback under AT_MOST_ONCE: such a message may arrive a second time";
  const choice = h("label", { class: "choice" }, force, label);
  const isSure = await ask({
    title: "Replay",
    text: `${describe(counted.matched)} sent to their callbacks again, out of order with live messages. What is delivered leaves the dead letters, what fails again stays.`,
    action: "Replay",
    choice: (await mayNeedForce(subscription)) ? choice : null,
  });
  if (!isSure) return;
  const body: ReplayBody = force.checked ? { ...selection, force: true } : selection;
  const answer = await call("POST /replays", { body });
  if (answer.kind === "refused") return notify(answer.text, "bad");
  const { id, warnings } = answer.body;
  notify(["The replay has begun", ...warnings].join(". "));
  onStarted(id, counted.matched);
}

export async function purge(selection: LetterSelection, onDone: () => void): Promise<void> {
  const counted = await count(selection);
  if (counted === null) return;
  const isSure = await ask({
    title: "Purge",
    text: `${describe(counted.matched)} deleted for good. Nothing brings them back.`,
    action: "Purge",
    isDangerous: true,
  });
  if (!isSure) return;
  const purged = "ids" in selection ? await purgeOnce(selection) : await purgeAll(selection, counted);
  if (purged > 0) notify(`${formatCount(purged)} purged`);
  onDone();
}

/** All dead letters of each of these subscriptions, each in a replay of its own. */
export async function replayOf(subscriptions: readonly string[]): Promise<void> {
  const found: { readonly id: string; readonly matched: number }[] = [];
  for (const id of subscriptions) {
    const counted = await countAll({ filter: { subscription: id } });
    if (counted === null) return;
    if (counted.matched > 0) found.push({ id, matched: counted.matched });
  }
  const total = found.reduce((sum, { matched }) => sum + matched, 0);
  if (total === 0) return notify("None of them has a dead letter");
  const isSure = await ask({
    title: "Replay",
    text: `${describe(total)} sent to their callbacks again, of ${formatSome(found.length, "subscription")}, out of order with live messages. What is delivered leaves the dead letters, what fails again stays.`,
    action: "Replay",
  });
  if (!isSure) return;
  for (const { id, matched } of found) {
    const answer = await call("POST /replays", { body: { filter: { subscription: id } } });
    if (answer.kind === "refused") notify(`${id}: ${answer.text}`, "bad");
    else notify(`The replay of ${formatSome(matched, "dead letter")} of ${id} has begun`);
  }
}

/** Where that is not known the choice is given. */
async function mayNeedForce(subscription: string | null): Promise<boolean> {
  const answer = await call("GET /subscriptions", { query: { limit: MAX_ASKED } });
  if (answer.kind === "refused" || answer.body.next !== null) return true;
  return answer.body.items.some(
    ({ id, qos }) => qos === "AT_MOST_ONCE" && (subscription === null || id === subscription),
  );
}

function describe(count: number): string {
  return count === 1 ? "1 dead letter is" : `${formatCount(count)} dead letters are`;
}

/** Null: there is nothing, or it could not be counted; that was said. */
async function count(selection: LetterSelection): Promise<Counted | null> {
  const counted = await countAll(selection);
  if (counted?.matched === 0) notify("No dead letter matches");
  return counted === null || counted.matched === 0 ? null : counted;
}

/** Null: they could not be counted; that was said. */
async function countAll(selection: LetterSelection): Promise<Counted | null> {
  let matched = 0;
  let start = "";
  let cursor: string | null = null;
  for (let calls = 0; calls < MAX_CALLS; calls += 1) {
    const answer: CallResult<CountedPage> = await (isConsumersPage
      ? countListed(selection, cursor)
      : countByPurge(selection, cursor));
    if (answer.kind === "refused") {
      notify(answer.text, "bad");
      return null;
    }
    matched += answer.body.matched;
    if (cursor === null) ({ start } = answer.body);
    cursor = answer.body.next;
    if (cursor === null) break;
  }
  return { matched, start };
}

type CountedPage = Pick<PurgeOutcomeView, "matched" | "start" | "next">;

function countByPurge(selection: LetterSelection, cursor: string | null): Promise<CallResult<CountedPage>> {
  return remove(toDryRun(selection, cursor));
}

/** Consumers purge nothing, so that they have no dry run of it. */
async function countListed(
  selection: LetterSelection,
  cursor: string | null,
): Promise<CallResult<CountedPage>> {
  if ("ids" in selection)
    return { kind: "ok", body: { matched: selection.ids.length, start: "", next: null } };
  const query = { ...selection.filter, limit: MAX_ASKED, cursor };
  const answer = await call("GET /dead-letters", { query, withinMs: WITHIN_MS });
  if (answer.kind === "refused") return answer;
  const { items, next } = answer.body;
  return {
    kind: "ok",
    body: { matched: items.filter(({ isForeign }) => !isForeign).length, start: "", next },
  };
}

async function purgeOnce(selection: { readonly ids: string[] }): Promise<number> {
  const answer = await remove(selection);
  if (answer.kind === "ok") return answer.body.purged;
  notify(answer.text, "bad");
  return 0;
}

async function purgeAll(
  { filter }: { filter: LetterFilterBody },
  { matched, start }: Counted,
): Promise<number> {
  let purged = 0;
  let cursor: string | null = start;
  for (let calls = 0; cursor !== null && calls < MAX_CALLS && purged < matched; calls += 1) {
    const answer: CallResult<PurgeOutcomeView> = await remove({ filter, cursor, confirm: matched - purged });
    if (answer.kind === "refused") {
      notify(answer.text, "bad");
      return purged;
    }
    purged += answer.body.purged;
    cursor = answer.body.next;
  }
  return purged;
}

/** Named letters are counted in one call. */
function toDryRun(selection: LetterSelection, cursor: string | null): PurgeBody {
  if ("ids" in selection) return { ids: selection.ids, dryRun: true };
  return { filter: selection.filter, dryRun: true, ...(cursor === null ? {} : { cursor }) };
}

function remove(body: PurgeBody): Promise<CallResult<PurgeOutcomeView>> {
  return call("DELETE /dead-letters", { body, withinMs: WITHIN_MS });
}
