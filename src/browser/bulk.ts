// Acts on many subscriptions at once: those that are selected are counted, asked for once, and done one by one.

import type { SubscriptionView } from "#wire/subscription.ts";
import { call } from "./api.ts";
import { ask, openPanel } from "./dialog.ts";
import { fill, h, setText } from "./dom.ts";
import { formatSome } from "./format.ts";
import { replayOf } from "./letter-commands.ts";
import { notify } from "./notice.ts";
import { mayOperate, writeButton } from "./permission.ts";

interface Bulk {
  readonly element: HTMLElement;
  readonly has: (id: string) => boolean;
  readonly select: (id: string, isSelected: boolean) => void;
  /** `shown`: those that can be selected. Any other is not selected any more. */
  readonly update: (shown: readonly SubscriptionView[]) => void;
}

interface BulkOptions {
  readonly onChanged: () => void;
  readonly refresh: () => Promise<void>;
}

const COMMANDS = [
  { command: "pause", label: "Pause", done: "paused", isOperators: true },
  { command: "resume", label: "Resume", done: "resumed", isOperators: true },
  { command: "stop", label: "Stop", done: "stopped", isOperators: false },
  { command: "start", label: "Start", done: "started", isOperators: false },
] as const;

type Command = (typeof COMMANDS)[number];

const EFFECTS: Readonly<Record<Command["command"], string>> = {
  pause: "Their messages wait in the stream until somebody resumes them.",
  resume: "Paused and failed ones go on where they were; what failed is sent again.",
  stop: "Their messages wait in the stream until somebody starts them.",
  start: "Stopped and failed ones go on where they were; what failed is sent again.",
};
/** Requests at once, so that a relay with many subscriptions has time for others. */
const AT_ONCE = 4;

export function createBulk({ onChanged, refresh }: BulkOptions): Bulk {
  const selected = new Set<string>();
  let selectable: readonly string[] = [];
  const all = h("input", { type: "checkbox", "aria-label": "Select all that are shown" });
  const count = h("span", { role: "status" });
  const buttons = COMMANDS.filter(({ isOperators }) => !isOperators || mayOperate()).map((command) =>
    writeButton({ class: "button", onClick: () => void run(command) }, command.label),
  );
  const replay = writeButton(
    { class: "button", onClick: () => void replayOf([...selected]) },
    "Replay dead letters",
  );
  const actions = h("div", { class: "actions" }, ...buttons, replay);
  const element = h("div", { class: "bulk" }, h("label", {}, all, " ", count), actions);
  all.addEventListener("change", () => {
    if (all.checked) for (const id of selectable) selected.add(id);
    else selected.clear();
    onChanged();
  });

  async function run({ command, label, done }: Command): Promise<void> {
    const ids = [...selected];
    const isSure = await ask({
      title: `${label} ${formatSome(ids.length, "subscription")}`,
      text: h("div", {}, h("p", {}, EFFECTS[command]), h("p", { class: "ids" }, ids.join(", "))),
      action: label,
    });
    if (!isSure) return;
    const failed = await each(ids, async (id) => {
      const answer = await call(`POST /subscriptions/:id/${command}`, { id });
      return answer.kind === "ok" ? null : answer.text;
    });
    const many = formatSome(ids.length - failed.length, "subscription");
    if (failed.length < ids.length) notify(`${many} ${done}`);
    if (failed.length > 0) showFailed(`${label}: ${formatSome(failed.length, "fault")}`, failed);
    selected.clear();
    await refresh();
  }

  return {
    element,
    has: (id) => selected.has(id),
    select(id, isSelected) {
      if (isSelected) selected.add(id);
      else selected.delete(id);
      onChanged();
    },
    update(shown) {
      selectable = shown.map(({ id }) => id);
      const known = new Set(selectable);
      for (const id of selected) if (!known.has(id)) selected.delete(id);
      all.checked = selected.size > 0 && selected.size === selectable.length;
      all.indeterminate = selected.size > 0 && !all.checked;
      element.hidden = selectable.length < 2;
      setText(count, selected.size === 0 ? "Select all" : `${selected.size} selected`);
      actions.hidden = selected.size === 0;
    },
  };
}

type Failed = readonly (readonly [id: string, text: string])[];

/** What failed, and why. */
async function each(ids: readonly string[], act: (id: string) => Promise<string | null>): Promise<Failed> {
  const failed: [string, string][] = [];
  const rest = [...ids];
  const work = async () => {
    for (let id = rest.shift(); id !== undefined; id = rest.shift()) {
      const text = await act(id);
      if (text !== null) failed.push([id, text]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return failed;
}

function showFailed(title: string, failed: Failed): void {
  const { body } = openPanel({ title });
  fill(body, h("ul", {}, ...failed.map(([id, text]) => h("li", {}, h("strong", {}, id), `: ${text}`))));
}
