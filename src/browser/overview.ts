// The overview: a row for each subscription, trouble first, refreshed while the page is visible.

import type { SubscriptionView } from "#wire/subscription.ts";
import { isConsumersPage, pathTo, withQuery } from "./address.ts";
import { call } from "./api.ts";
import { createBulk } from "./bulk.ts";
import { arrange, byId, fill, h, link, setText } from "./dom.ts";
import { formatCount, formatSome } from "./format.ts";
import { writeLink } from "./permission.ts";
import { poll } from "./repeat.ts";
import { createSubscriptionRow, type SubscriptionRow } from "./subscription-row.ts";
import { IDLE, type RecentActivity, type Trouble, troubleOf } from "./subscription-state.ts";

const EVERY_MS = 2000;
/** With very many subscriptions, for their answers are long. */
const MANY = 200;
const EVERY_MANY_MS = 10_000;
const MAX_ASKED = 1000;
const MAX_SHOWN = 200;
/** From so many on each has one line. */
const DENSE_FROM = 9;
const LETTERS_EVERY_MS = 60_000;
const HOUR_MS = 3_600_000;
const CALM: Trouble = { rank: 0, text: null, tone: "calm" };

export function showOverview(view: HTMLElement): void {
  const rows = new Map<string, SubscriptionRow>();
  const list = h("ul", { class: "rows" });
  const more = h("p", { class: "note", hidden: true });
  const find = createFind(show);
  const tiles = createTiles(find.toggleState);
  const letters = h("p", { class: "tile" });
  const create = writeLink(pathTo.newSubscription(), "New subscription");
  const bulk = createBulk({ onChanged: show, refresh: () => refreshing.now() });
  byId("heading").append(create);
  const summary = h("div", { class: "tools" }, tiles.element, letters, find.element);
  const head = h("div", { class: "dense-head", "aria-hidden": "true" });
  for (const column of ["", "subscription", "", "rate", "lag", "success", "last hour"])
    head.append(h("span", {}, column));
  let known: readonly SubscriptionView[] = [];
  let minutes: ReadonlyMap<string, RecentActivity> = new Map();
  let troubles: ReadonlyMap<string, Trouble> = new Map();
  let isFirst = true;
  let order: readonly string[] = [];
  const refreshing = poll(refresh, () => (known.length > MANY ? EVERY_MANY_MS : EVERY_MS));
  poll(countLetters, () => LETTERS_EVERY_MS);
  list.addEventListener("mouseleave", show);

  async function refresh(): Promise<void> {
    const query = { limit: String(MAX_ASKED) };
    const [subscriptions, activity] = await Promise.all([
      call("GET /subscriptions", { query }),
      call("GET /activity", { query }),
    ]);
    const refused = [subscriptions, activity].find((answer) => answer.kind === "refused");
    if (refused?.kind === "refused" && isFirst) fill(view, h("p", { class: "banner bad" }, refused.text));
    if (subscriptions.kind === "refused" || activity.kind === "refused") return;
    known = subscriptions.body.items;
    minutes = new Map(activity.body.items.map((one) => [one.subscription, one]));
    troubles = new Map(known.map((one) => [one.id, troubleOf(one, new Date())]));
    if (isFirst) {
      isFirst = false;
      fill(view, summary, bulk.element, head, list, more);
      view.removeAttribute("aria-busy");
    }
    show();
  }

  async function countLetters(): Promise<void> {
    const from = new Date(Date.now() - HOUR_MS).toISOString();
    const answer = await call("GET /dead-letters", { query: { from, limit: String(MAX_ASKED) } });
    if (answer.kind === "refused") return;
    const { items, next } = answer.body;
    const count = `${formatCount(items.length)}${next === null ? "" : "+"}`;
    letters.className = `tile ${items.length > 0 ? "warn" : "none"}`;
    const noun = items.length === 1 ? "dead letter" : "dead letters";
    fill(
      letters,
      h("strong", {}, count),
      " ",
      link(pathTo.deadLetters({ from }), `${noun} in the last hour`),
    );
  }

  function show(): void {
    const ids = new Set(known.map(({ id }) => id));
    for (const id of rows.keys()) if (!ids.has(id)) rows.delete(id);
    const matching = known.filter((one) => find.isFound(one));
    // Nothing moves away under a mouse that is about to press a button.
    const sorted = list.matches(":hover") ? inOrder(matching, order) : sortByTrouble(matching);
    order = sorted.map(({ id }) => id);
    const shown = sorted.slice(0, MAX_SHOWN);
    const isDense = known.length >= DENSE_FROM;
    list.classList.toggle("dense", isDense);
    head.hidden = !isDense || shown.length === 0;
    arrange(list, shown.map(toElement));
    bulk.update(shown);
    more.hidden = known.length > 0 && sorted.length <= MAX_SHOWN && sorted.length > 0;
    fill(more, describeRest({ known: known.length, matching: sorted.length }));
    tiles.update(known, find.state());
  }

  function toElement(subscription: SubscriptionView): HTMLElement {
    const { id } = subscription;
    const onSelected = (isSelected: boolean) => bulk.select(id, isSelected);
    const row = rows.get(id) ?? createSubscriptionRow(id, { refresh: refreshing.now, onSelected });
    rows.set(id, row);
    row.update(subscription, {
      minutes: minutes.get(id) ?? IDLE,
      trouble: troubles.get(id) ?? CALM,
      isSelected: bulk.has(id),
    });
    return row.element;
  }

  function sortByTrouble(subscriptions: readonly SubscriptionView[]): readonly SubscriptionView[] {
    const rankOf = ({ id }: SubscriptionView) => (troubles.get(id) ?? CALM).rank;
    return subscriptions.toSorted((left, right) => rankOf(right) - rankOf(left));
  }
}

function describeRest({ known, matching }: { known: number; matching: number }): string {
  if (known === 0)
    return isConsumersPage
      ? "You have no subscription yet: make one."
      : "There is no subscription yet: make one here, or add it to the config file.";
  if (matching === 0) return "No subscription matches.";
  return `${formatSome(matching - MAX_SHOWN, "subscription")} more: narrow them down to see them.`;
}

/** Those that are new come last. */
function inOrder(
  subscriptions: readonly SubscriptionView[],
  order: readonly string[],
): readonly SubscriptionView[] {
  const positions = new Map(order.map((id, position) => [id, position]));
  const positionOf = ({ id }: SubscriptionView) => positions.get(id) ?? order.length;
  return subscriptions.toSorted((left, right) => positionOf(left) - positionOf(right));
}

const TILES = [
  { state: "running", label: "running", tone: "good", has: isRunning },
  {
    state: "failed",
    label: "in failure",
    tone: "bad",
    has: ({ state }: SubscriptionView) => state === "failed",
  },
  {
    state: "waiting",
    label: "waiting",
    tone: "warn",
    has: ({ state }: SubscriptionView) => state === "waiting",
  },
  { state: "idle", label: "not running", tone: "calm", has: isIdle },
] as const;

function isRunning({ state }: SubscriptionView): boolean {
  return state === "running";
}

function isIdle({ state }: SubscriptionView): boolean {
  return ["paused", "stopped", "scheduled", "closed"].includes(state);
}

/** Counts by state; each narrows the list to that state, and once more pressed, widens it again. */
function createTiles(onToggle: (state: string) => void) {
  const tiles = TILES.map((tile) => {
    const number = h("strong", {}, "0");
    const onClick = () => onToggle(tile.state);
    const element = h("button", { class: `tile ${tile.tone}`, "aria-pressed": "false", onClick }, number);
    element.append(` ${tile.label}`);
    return { ...tile, number, element };
  });
  return {
    element: h(
      "div",
      { class: "tiles", role: "group", "aria-label": "Subscriptions by state" },
      ...tiles.map((tile) => tile.element),
    ),
    update(subscriptions: readonly SubscriptionView[], chosen: string) {
      for (const { number, element, has, state } of tiles) {
        const count = subscriptions.filter((one) => has(one)).length;
        setText(number, formatCount(count));
        element.classList.toggle("none", count === 0);
        element.setAttribute("aria-pressed", String(state === chosen));
      }
    },
  };
}

/** What is searched for, by text and by state. The address keeps both. */
function createFind(onChanged: () => void) {
  const label = "Find by id, callback or application";
  const element = h("input", { type: "search", placeholder: label, "aria-label": "Find subscriptions" });
  const read = (name: string) => new URLSearchParams(location.search).get(name) ?? "";
  const write = (state: string) => {
    history.replaceState(null, "", withQuery(location.pathname, { find: element.value, state }));
    onChanged();
  };
  element.value = read("find");
  element.addEventListener("input", () => write(read("state")));
  return {
    element,
    state: () => read("state"),
    toggleState: (state: string) => write(read("state") === state ? "" : state),
    isFound(subscription: SubscriptionView): boolean {
      const { id, callbackUrl, application } = subscription;
      const text = element.value.trim().toLowerCase();
      const tile = TILES.find(({ state }) => state === read("state"));
      const fields = [id, callbackUrl, application ?? ""];
      return (tile?.has(subscription) ?? true) && fields.some((field) => field.toLowerCase().includes(text));
    },
  };
}
