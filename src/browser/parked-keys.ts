// The parked keys of an ordered subscription: why and since when each waits, when it is tried again, and buttons to resume it.

import type { ParkedKeyView } from "#wire/parked.ts";
import { call } from "./api.ts";
import { ask } from "./dialog.ts";
import { arrange, fill, h, setText, timeOf } from "./dom.ts";
import { formatCount, formatNextTry, formatSome } from "./format.ts";
import { notify } from "./notice.ts";
import { section } from "./payload.ts";
import { mayOperate, writeButton } from "./permission.ts";

interface ParkedKeys {
  readonly element: HTMLElement;
  readonly refresh: () => Promise<void>;
}

/** More than a window can have. */
const MAX_ASKED = "1000";
const MAX_SHOWN = 100;
const COLUMNS = ["Key", "Parked since", "Cause", "First message", "Messages", "Next try", ""];

export function createParkedKeyTable(id: string): ParkedKeys {
  const rows = new Map<string, ReturnType<typeof createRow>>();
  const body = h("tbody");
  const head = h("tr", {}, ...COLUMNS.map((column) => h(column === "" ? "td" : "th", {}, column)));
  const table = h("table", { class: "table", "aria-label": "Parked keys" }, h("thead", {}, head), body);
  const more = h("p", { class: "note", hidden: true });
  const text = "A message of each of these keys failed. The messages of the key wait; other keys go on.";
  const element = section(
    "Parked keys",
    h("p", { class: "note" }, text),
    h("div", { class: "card table-card" }, table),
    more,
  );
  element.hidden = true;

  async function refresh(): Promise<void> {
    const answer = await call("GET /subscriptions/:id/parked", { id, query: { limit: MAX_ASKED } });
    if (answer.kind === "refused") return;
    const { items } = answer.body;
    const shown = items.slice(0, MAX_SHOWN);
    const keys = new Set(shown.map(({ key }) => key));
    for (const key of rows.keys()) if (!keys.has(key)) rows.delete(key);
    arrange(
      body,
      shown.map((parked) => {
        const row = rows.get(parked.key) ?? createRow(id, parked.key, refresh);
        rows.set(parked.key, row);
        row.update(parked);
        return row.element;
      }),
    );
    element.hidden = items.length === 0;
    more.hidden = items.length <= MAX_SHOWN;
    setText(more, `${formatSome(items.length - MAX_SHOWN, "more key", "more keys")} are parked`);
  }

  return { element, refresh };
}

function createRow(id: string, key: string, refresh: () => Promise<void>) {
  let present: ParkedKeyView | null = null;
  const name = nameOf(key);
  const since = h("td", { class: "when" });
  const cause = h("td", { class: "wide" });
  const first = h("td", { class: "number" });
  const count = h("td", { class: "number" });
  const next = h("td", { class: "when" });
  const button = (label: string, skip: boolean) =>
    writeButton(
      {
        class: "button",
        "aria-label": `${label} ${name}`,
        onClick: () => void (present !== null && resume(id, present, { skip, refresh })),
      },
      label,
    );
  const actions = mayOperate()
    ? h("div", { class: "actions" }, button("Resume", false), button("Skip and resume", true))
    : null;
  return {
    element: h(
      "tr",
      {},
      h("td", { class: "message" }, name),
      since,
      cause,
      first,
      count,
      next,
      h("td", {}, actions),
    ),
    update(parked: ParkedKeyView) {
      if (present?.since !== parked.since) fill(since, timeOf(parked.since));
      present = parked;
      setText(cause, parked.failureCause);
      setText(first, String(parked.sequence));
      setText(count, formatCount(parked.messages));
      setText(next, parked.nextTryAt === null ? "–" : formatNextTry(parked.nextTryAt, new Date()));
    },
  };
}

async function resume(
  id: string,
  { key, sequence, messages }: ParkedKeyView,
  { skip, refresh }: { readonly skip: boolean; readonly refresh: () => Promise<void> },
): Promise<void> {
  const effect = skip
    ? `1 message is skipped: message ${sequence} is acknowledged, and not sent. `
    : `Message ${sequence} is sent again now. `;
  const rest = messages - 1;
  const others =
    rest > 0
      ? `If it is ${skip ? "done" : "delivered"}, ${formatSome(rest, "message")} of the key ${rest === 1 ? "follows" : "follow"}.`
      : "";
  const isSure = await ask({
    title: skip ? "Skip and resume a key" : "Resume a key",
    text: h("div", {}, h("p", { class: "ids" }, nameOf(key)), h("p", {}, effect, others)),
    action: skip ? "Skip and resume" : "Resume",
    isDangerous: skip,
  });
  if (!isSure) return;
  const answer = await call("POST /subscriptions/:id/parked/resume", { id, body: { key, skip } });
  if (answer.kind === "ok") notify(skip ? "Skipped and resumed" : "Resumed");
  else notify(answer.text, "bad");
  await refresh();
}

/** Messages without a key share the empty one. */
function nameOf(key: string): string {
  return key === "" ? "(no key)" : key;
}
