// Shows replays: under way or lately ended above a list, all of them in their own view, and one at its own address.

import type { ReplayView } from "#wire/replay.ts";
import { idInAddress, pathTo } from "./address.ts";
import { call } from "./api.ts";
import { badge, type Tone } from "./badge.ts";
import { fill, h, link, timeOf } from "./dom.ts";
import { formatCount, formatMoment, formatSome } from "./format.ts";
import { notifyOf } from "./notice.ts";
import { facts } from "./payload.ts";
import { writeButton } from "./permission.ts";
import { poll } from "./repeat.ts";

interface Replays {
  readonly element: HTMLElement;
  readonly refresh: () => Promise<void>;
  /** How many messages a replay should come by, for its progress. */
  readonly expect: (id: string, count: number) => void;
}

interface ReplaysOptions {
  /** One has ended since the last look. */
  readonly onEnded: () => void;
  /** True: those under way and those that ended lately; false: all. */
  readonly isRecentOnly: boolean;
}

const FAST_MS = 1000;
const SLOW_MS = 10_000;
const SHOWN_FOR_MS = 600_000;
const MAX_ENDED = 3;
const MAX_ASKED = { recent: "20", all: "200" };
const STATE_TONES: Readonly<Record<ReplayView["state"], Tone>> = {
  running: "good",
  paused: "warn",
  stopped: "calm",
  done: "good",
  failed: "bad",
};
const SKIPPED: Readonly<Record<keyof ReplayView["skipped"], string>> = {
  foreign: "not written by Relay",
  exhausted: "replayed as often as the schedule allows",
  needsForce: "may have arrived (AT_MOST_ONCE)",
  noSubscription: "without a subscription",
  gone: "not there (any more)",
  excluded: "that the subscription does not take",
};

export function showReplays(view: HTMLElement): void {
  const replays = createReplays({ onEnded: () => undefined, isRecentOnly: false });
  fill(view, replays.element);
  view.removeAttribute("aria-busy");
}

export function showReplayPage(view: HTMLElement): void {
  let isOver = false;
  const repeated = poll(refresh, () => (isOver ? SLOW_MS : FAST_MS));

  async function refresh(): Promise<void> {
    const answer = await call("GET /replays/:id", { id: idInAddress() });
    view.removeAttribute("aria-busy");
    if (answer.kind === "refused") {
      if (answer.status !== 0) fill(view, h("p", { class: "banner bad", role: "alert" }, answer.text));
      return;
    }
    const replay = answer.body;
    isOver = !isUnderWay(replay);
    fill(view, toCard(replay, { total: replay.ids, refresh: repeated.now }), describe(replay));
  }
}

export function createReplays({ onEnded, isRecentOnly }: ReplaysOptions): Replays {
  const element = h("div", { "aria-label": "Replays", role: "group" });
  const expected = new Map<string, number>();
  let before: readonly ReplayView[] | null = null;
  const repeated = poll(refresh, () => (before?.some(isUnderWay) === true ? FAST_MS : SLOW_MS));

  async function refresh(): Promise<void> {
    const limit = isRecentOnly ? MAX_ASKED.recent : MAX_ASKED.all;
    const answer = await call("GET /replays", { query: { limit } });
    if (answer.kind === "refused") {
      if (before === null && !isRecentOnly) fill(element, h("p", { class: "note" }, answer.text));
      return;
    }
    const { items } = answer.body;
    const hasEnded = (before ?? []).some(
      (one) => isUnderWay(one) && !items.some((item) => isSame(one, item)),
    );
    const isChanged = before === null || JSON.stringify(items) !== JSON.stringify(before);
    before = items;
    if (isChanged) show(items);
    if (hasEnded) onEnded();
  }

  function show(items: readonly ReplayView[]): void {
    const cards = (isRecentOnly ? selectRecent(items, Date.now()) : items).map((one) =>
      toCard(one, { total: one.ids ?? expected.get(one.id) ?? null, refresh: repeated.now }),
    );
    const none = h("p", { class: "note" }, "No replay has been started yet: start one under Dead letters.");
    fill(element, ...(cards.length === 0 && !isRecentOnly ? [none] : cards));
  }

  return { element, refresh: repeated.now, expect: (id, count) => expected.set(id, count) };
}

function isUnderWay({ state }: ReplayView): boolean {
  return state === "running" || state === "paused";
}

function isSame(left: ReplayView, right: ReplayView): boolean {
  return left.id === right.id && isUnderWay(right);
}

/** Those of a schedule only while they do something. */
function selectRecent(items: readonly ReplayView[], now: number): readonly ReplayView[] {
  const ended = items.filter(
    ({ endedAt, isScheduled }) =>
      endedAt !== null && !isScheduled && now - Date.parse(endedAt) < SHOWN_FOR_MS,
  );
  return [...items.filter(isUnderWay), ...ended.slice(0, MAX_ENDED)];
}

function toCard(
  replay: ReplayView,
  { total, refresh }: { total: number | null; refresh: () => Promise<void> },
): HTMLElement {
  const { id, state, reason, subscription, ids, startedAt, delivered, failed, isScheduled } = replay;
  const what = replay.source === "stream" ? "Resend" : "Replay";
  const name = subscription === null ? what : `${what} of ${subscription}`;
  const passed = skippedOf(replay);
  const counts = [
    `${formatCount(delivered)} delivered`,
    `${formatCount(failed)} failed again`,
    ...passed.map(([why, count]) => `${formatCount(count)} skipped: ${why}`),
  ];
  const done = passed.reduce((sum, [, count]) => sum + count, delivered + failed);
  const progress = {
    "aria-label": "Replay under way",
    ...(total === null ? {} : { value: done, max: total }),
  };
  return h(
    "section",
    { class: "card replay" },
    h(
      "div",
      { class: "replay-head" },
      h("strong", {}, link(pathTo.replay(id), name)),
      badge(state, STATE_TONES[state]),
      h(
        "span",
        { class: "place" },
        ids === null ? "" : `${formatSome(ids, "named message")} · `,
        isScheduled ? "by schedule · " : "",
        "started ",
        timeOf(startedAt),
      ),
      h("div", { class: "actions" }, ...commandsFor(state).map((command) => toButton(id, command, refresh))),
    ),
    state === "running" ? h("progress", progress) : null,
    h("p", {}, counts.join(" · ")),
    reason === null ? null : h("p", { class: "cause" }, reason),
  );
}

function skippedOf({ skipped }: ReplayView): readonly (readonly [why: string, count: number])[] {
  return Object.entries(skipped)
    .filter(([, count]) => count > 0)
    .map(([why, count]) => [SKIPPED[why as keyof ReplayView["skipped"]] ?? why, count]);
}

function describe({ id, subscription, to, startedAt, endedAt, relay, dryRun, matching }: ReplayView): Node {
  return h(
    "div",
    { class: "card details" },
    facts([
      ["Id", id],
      [
        "Subscription",
        subscription === null ? "of all" : link(pathTo.subscription(subscription), subscription),
      ],
      ["Sent to", to === null ? "each to its own subscription" : link(pathTo.subscription(to), to)],
      ["Started", formatMoment(startedAt)],
      ["Ended", endedAt === null ? "–" : formatMoment(endedAt)],
      ["Worked on by", relay ?? "–"],
      ...(dryRun ? ([["Counted", formatCount(matching)]] as const) : []),
    ]),
  );
}

function commandsFor(state: ReplayView["state"]): readonly ("pause" | "resume" | "stop")[] {
  if (state === "running") return ["pause", "stop"];
  return state === "paused" ? ["resume", "stop"] : [];
}

const COMMANDS = {
  pause: { label: "Pause", done: "paused" },
  resume: { label: "Resume", done: "resumed" },
  stop: { label: "Stop", done: "stopped" },
} as const;

function toButton(
  id: string,
  command: keyof typeof COMMANDS,
  refresh: () => Promise<void>,
): HTMLButtonElement {
  const { label, done } = COMMANDS[command];
  const send = async () => {
    notifyOf(await call(`POST /replays/:id/${command}`, { id }), `Replay ${done}`);
    await refresh();
  };
  return writeButton({ class: "button", onClick: () => void send() }, label);
}
