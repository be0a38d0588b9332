// The overview: a row for each subscription, those in trouble first, refreshed while the page is visible.

import type { ActivityView } from "#wire/status.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import type { Page } from "#wire/view.ts";
import { call } from "./api.ts";
import { arrange, fill, h, setText } from "./dom.ts";
import { formatCount } from "./format.ts";
import { poll } from "./repeat.ts";
import { createSubscriptionRow, type SubscriptionRow } from "./subscription-row.ts";

const EVERY_MS = 2000;
/** With very many subscriptions, for their answers are long. */
const MANY = 200;
const EVERY_MANY_MS = 10_000;
const MAX_ASKED = 1000;
const MAX_SHOWN = 100;
const IDLE = { perSecond: 0, delivered: Array<number>(60).fill(0), failed: Array<number>(60).fill(0) };

export function showOverview(view: HTMLElement): void {
  const rows = new Map<string, SubscriptionRow>();
  const list = h("ul", { class: "rows" });
  const more = h("p", { class: "note", hidden: true });
  const find = h("input", {
    type: "search",
    placeholder: "Find by id, callback or application",
    "aria-label": "Find subscriptions",
  });
  const tiles = createTiles();
  const tools = h("div", { class: "tools" }, tiles.element, find);
  let known: readonly SubscriptionView[] = [];
  let activity: ReadonlyMap<string, ActivityView> = new Map();
  let isFirst = true;
  let order: readonly string[] = [];
  const refreshing = poll(refresh, () => (known.length > MANY ? EVERY_MANY_MS : EVERY_MS));
  find.addEventListener("input", show);
  list.addEventListener("mouseleave", show);

  async function refresh(): Promise<void> {
    const [subscriptions, minutes] = await Promise.all([
      call<Page<SubscriptionView>>(`/api/subscriptions?limit=${MAX_ASKED}`),
      call<Page<ActivityView>>(`/api/activity?limit=${MAX_ASKED}`),
    ]);
    const refused = [subscriptions, minutes].find((answer) => answer.kind === "refused");
    if (refused?.kind === "refused" && isFirst) fill(view, h("p", { class: "banner bad" }, refused.text));
    if (subscriptions.kind === "refused" || minutes.kind === "refused") return;
    known = subscriptions.body.items;
    activity = new Map(minutes.body.items.map((one) => [one.subscription, one]));
    if (isFirst) {
      isFirst = false;
      fill(view, tools, list, more);
      view.removeAttribute("aria-busy");
    }
    show();
  }

  function show(): void {
    const ids = new Set(known.map(({ id }) => id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    const matching = known.filter((one) => isFound(one, find.value.trim().toLowerCase()));
    // Nothing moves away under a mouse that is about to press a button.
    const sorted = list.matches(":hover") ? inOrder(matching, order) : byTrouble(matching);
    order = sorted.map(({ id }) => id);
    const shown = sorted.slice(0, MAX_SHOWN);
    arrange(
      list,
      shown.map((subscription) => {
        const row = rows.get(subscription.id) ?? createSubscriptionRow(subscription.id, refreshing.now);
        rows.set(subscription.id, row);
        row.update(subscription, activity.get(subscription.id) ?? IDLE);
        return row.element;
      }),
    );
    more.hidden = known.length > 0 && sorted.length <= MAX_SHOWN && sorted.length > 0;
    setText(more, describeRest({ known: known.length, matching: sorted.length }));
    tiles.update(known);
  }
}

function describeRest({ known, matching }: { known: number; matching: number }): string {
  if (known === 0) return "There is no subscription yet: add one to the config file, or by the API.";
  if (matching === 0) return "No subscription matches.";
  return `${formatCount(matching - MAX_SHOWN)} more are not shown: narrow them down.`;
}

function isFound({ id, callbackUrl, application }: SubscriptionView, text: string): boolean {
  return [id, callbackUrl, application ?? ""].some((field) => field.toLowerCase().includes(text));
}

function byTrouble(subscriptions: readonly SubscriptionView[]): readonly SubscriptionView[] {
  return subscriptions.toSorted((left, right) => troubleOf(right) - troubleOf(left));
}

/** Those that are new come last. */
function inOrder(
  subscriptions: readonly SubscriptionView[],
  order: readonly string[],
): readonly SubscriptionView[] {
  const places = new Map(order.map((id, place) => [id, place]));
  const placeOf = ({ id }: SubscriptionView) => places.get(id) ?? order.length;
  return subscriptions.toSorted((left, right) => placeOf(left) - placeOf(right));
}

/** The higher, the sooner somebody should look. */
function troubleOf({ state, retrying }: SubscriptionView): number {
  if (state === "failed") return 4;
  if (state === "waiting") return 3;
  if (retrying > 0) return 2;
  // What somebody paused or stopped is easily forgotten among many that run.
  if (["paused", "stopped", "scheduled"].includes(state)) return 1;
  return state === "running" ? 0 : -1;
}

const TILES = [
  { label: "running", tone: "good", has: ({ state }: SubscriptionView) => state === "running" },
  { label: "in failure", tone: "bad", has: ({ state }: SubscriptionView) => state === "failed" },
  { label: "waiting", tone: "warn", has: ({ state }: SubscriptionView) => state === "waiting" },
  {
    label: "paused, stopped, scheduled or closed",
    tone: "calm",
    has: ({ state }: SubscriptionView) => ["paused", "stopped", "scheduled", "closed"].includes(state),
  },
] as const;

function createTiles() {
  const tiles = TILES.map((tile) => {
    const number = h("strong", {}, "0");
    const element = h("li", { class: `tile ${tile.tone}` }, number, ` ${tile.label}`);
    return { has: tile.has, number, element };
  });
  return {
    element: h("ul", { class: "tiles", "aria-label": "Subscriptions" }, ...tiles.map((tile) => tile.element)),
    update(subscriptions: readonly SubscriptionView[]) {
      for (const { number, element, has } of tiles) {
        const count = subscriptions.filter((one) => has(one)).length;
        setText(number, formatCount(count));
        element.classList.toggle("none", count === 0);
      }
    },
  };
}
