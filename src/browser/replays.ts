// Shows the replays that run or ended lately, with buttons to pause, resume and stop them.

import type { ReplayView } from "#wire/replay.ts";
import type { Page } from "#wire/view.ts";
import { call } from "./api.ts";
import { badge, type Tone } from "./badge.ts";
import { fill, h } from "./dom.ts";
import { formatCount, formatTime } from "./format.ts";
import { notifyOf } from "./notice.ts";
import { writeButton } from "./permission.ts";
import { poll } from "./repeat.ts";

interface Replays {
  readonly element: HTMLElement;
  readonly refresh: () => Promise<void>;
  /** How many letters a replay should come by, for its progress. */
  readonly expect: (id: string, count: number) => void;
}

const FAST_MS = 1000;
const SLOW_MS = 10_000;
const SHOWN_FOR_MS = 600_000;
const MAX_ENDED = 3;
const TONES: Readonly<Record<ReplayView["state"], Tone>> = {
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
  excluded: "of a subject that the subscription does not take",
};

/** `onEnded`: one has ended since the last look. */
export function createReplays(onEnded: () => void): Replays {
  const element = h("div", { "aria-label": "Replays", role: "group" });
  const expected = new Map<string, number>();
  let before: readonly ReplayView[] = [];
  const repeated = poll(refresh, () => (before.some(isUnderWay) ? FAST_MS : SLOW_MS));

  async function refresh(): Promise<void> {
    const answer = await call<Page<ReplayView>>("/api/replays?limit=20");
    if (answer.kind === "refused") return;
    const now = Date.now();
    const { items } = answer.body;
    const hasEnded = before.some((one) => isUnderWay(one) && !items.some((item) => isSame(one, item)));
    const isChanged = JSON.stringify(items) !== JSON.stringify(before);
    before = items;
    if (isChanged)
      fill(
        element,
        ...select(items, now).map((one) =>
          toCard(one, { total: one.ids ?? expected.get(one.id) ?? null, refresh: repeated.now }),
        ),
      );
    if (hasEnded) onEnded();
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
function select(items: readonly ReplayView[], now: number): readonly ReplayView[] {
  const ended = items.filter(
    ({ endedAt, isScheduled }) =>
      endedAt !== null && !isScheduled && now - Date.parse(endedAt) < SHOWN_FOR_MS,
  );
  return [...items.filter(isUnderWay), ...ended.slice(0, MAX_ENDED)];
}

function toCard(
  one: ReplayView,
  { total, refresh }: { total: number | null; refresh: () => Promise<void> },
): HTMLElement {
  const { id, state, reason, subscription, ids, startedAt, delivered, failed, skipped } = one;
  const about = [
    subscription === null ? "Replay" : `Replay of ${subscription}`,
    ...(ids === null ? [] : [`${formatCount(ids)} named`]),
    `begun ${formatTime(startedAt, new Date())}`,
  ];
  const passed = Object.entries(skipped).filter(([, count]) => count > 0);
  const counts = [
    `${formatCount(delivered)} delivered`,
    `${formatCount(failed)} failed again`,
    ...passed.map(
      ([why, count]) =>
        `${formatCount(count)} skipped: ${SKIPPED[why as keyof ReplayView["skipped"]] ?? why}`,
    ),
  ];
  const done = passed.reduce((sum, [, count]) => sum + count, delivered + failed);
  return h(
    "section",
    { class: "card replay" },
    h(
      "div",
      { class: "replay-head" },
      h("strong", {}, about.join(" · ")),
      badge(state, TONES[state]),
      h("div", { class: "actions" }, ...commandsFor(state).map((command) => toButton(id, command, refresh))),
    ),
    state === "running"
      ? h("progress", {
          "aria-label": "Replay under way",
          ...(total === null ? {} : { value: done, max: total }),
        })
      : null,
    h("p", {}, counts.join(" · ")),
    reason === null ? null : h("p", { class: "cause" }, reason),
  );
}

function commandsFor(state: ReplayView["state"]): readonly ("pause" | "resume" | "stop")[] {
  if (state === "running") return ["pause", "stop"];
  return state === "paused" ? ["resume", "stop"] : [];
}

const LABELS = { pause: "Pause", resume: "Resume", stop: "Stop" } as const;

function toButton(id: string, command: keyof typeof LABELS, refresh: () => Promise<void>): HTMLButtonElement {
  const send = async () => {
    const answer = await call(`/api/replays/${encodeURIComponent(id)}/${command}`, { method: "POST" });
    notifyOf(answer, `Replay: ${command}`);
    await refresh();
  };
  return writeButton({ class: "button", onClick: () => void send() }, LABELS[command]);
}
