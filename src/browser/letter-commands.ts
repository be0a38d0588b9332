// Replays and purges dead letters: counts them, asks for confirmation, and does no more than was counted.

import type { LetterFilterBody, PurgeBody, PurgeOutcomeView } from "#wire/dead-letter.ts";
import type { ReplayBody, StartedReplayView } from "#wire/replay.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Page } from "#wire/view.ts";
import { type CallResult, call } from "./api.ts";
import { ask } from "./dialog.ts";
import { h } from "./dom.ts";
import { formatCount } from "./format.ts";
import { notify } from "./notice.ts";

/** One count or purge may take its time. */
const WITHIN_MS = 60_000;
const MAX_CALLS = 1000;
const MAX_ASKED = 1000;

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
  const answer = await call<StartedReplayView>("/api/replays", { method: "POST", body });
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

/** Where that is not known the choice is given. */
async function mayNeedForce(subscription: string | null): Promise<boolean> {
  const answer = await call<Page<SubscriptionView>>(`/api/subscriptions?limit=${MAX_ASKED}`);
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
  let matched = 0;
  let start = "";
  let cursor: string | null = null;
  for (let calls = 0; calls < MAX_CALLS; calls += 1) {
    const body: PurgeBody = toDryRun(selection, cursor);
    const answer: CallResult<PurgeOutcomeView> = await remove(body);
    if (answer.kind === "refused") {
      notify(answer.text, "bad");
      return null;
    }
    matched += answer.body.matched;
    if (cursor === null) ({ start } = answer.body);
    cursor = answer.body.next;
    if (cursor === null) break;
  }
  if (matched === 0) notify("No dead letter matches");
  return matched === 0 ? null : { matched, start };
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
  return call<PurgeOutcomeView>("/api/dead-letters", { method: "DELETE", body, withinMs: WITHIN_MS });
}
