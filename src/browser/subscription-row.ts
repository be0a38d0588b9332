// A subscription in the overview: a card, or one line where there are many. State, activity, and buttons.

import type { SubscriptionView } from "#wire/subscription.ts";
import { pathTo } from "./address.ts";
import { createBadge } from "./badge.ts";
import { createChart } from "./chart.ts";
import { h, link, setText } from "./dom.ts";
import { formatCount, formatRate, formatShare } from "./format.ts";
import { createSubscriptionActions } from "./subscription-actions.ts";
import { lagOf, type RecentActivity, recentOf, TONES, type Trouble } from "./subscription-state.ts";

export interface SubscriptionRow {
  readonly element: HTMLElement;
  readonly update: (subscription: SubscriptionView, seen: RowState) => void;
}

interface RowState {
  readonly minutes: RecentActivity;
  readonly trouble: Trouble;
  readonly isSelected: boolean;
}

interface RowOptions {
  /** Asks Relay how it is now. */
  readonly refresh: () => Promise<void>;
  readonly onSelected: (isSelected: boolean) => void;
}

export function createSubscriptionRow(id: string, { refresh, onSelected }: RowOptions): SubscriptionRow {
  const pick = h("input", { type: "checkbox", class: "pick", "aria-label": `Select ${id}` });
  pick.addEventListener("change", () => onSelected(pick.checked));
  const state = createBadge();
  const place = h("p", { class: "place" });
  const why = h("span");
  const failed = h("a", { "aria-label": `What failed: ${id}` }, "What failed");
  const cause = h("p", { class: "cause", hidden: true }, why, " ", failed);
  const chart = createChart();
  const rate = createFigure("rate", "Attempts a second, over the last minute");
  const lag = createFigure("lag", "Messages in the stream that are not done with");
  const success = createFigure("success", "Attempts of the last 5 minutes that were delivered");
  const actions = createSubscriptionActions(id, { refresh, isWhole: false });
  const all = link(pathTo.deliveries({ subscription: id }), "Deliveries");
  const letters = link(pathTo.deadLetters({ subscription: id }), "Dead letters");
  const element = h(
    "li",
    { class: "card row", "data-subscription": id },
    pick,
    h(
      "div",
      { class: "row-main" },
      h("h2", {}, link(pathTo.subscription(id), id), " ", state.element),
      place,
      cause,
    ),
    h("dl", { class: "figures" }, rate.element, lag.element, success.element),
    h("div", { class: "row-chart" }, chart.element, h("small", {}, "last hour")),
    h("div", { class: "row-actions" }, actions.element, h("span", { class: "links" }, all, letters)),
  );
  return {
    element,
    update(subscription, { minutes, trouble, isSelected }) {
      state.set(subscription.state, TONES[subscription.state]);
      pick.checked = isSelected;
      element.classList.toggle("bad", trouble.tone === "bad");
      element.classList.toggle("warn", trouble.tone === "warn");
      const { application, entrypoint, qos, callbackUrl } = subscription;
      const pace = describePace(subscription);
      setText(place, [callbackUrl, entrypoint, qos, application, pace].filter(Boolean).join(" · "));
      cause.hidden = trouble.text === null;
      cause.title = trouble.text ?? "";
      setText(why, trouble.text ?? "");
      failed.hidden = trouble.tone !== "bad";
      failed.setAttribute("href", toFailedDeliveries(subscription));
      const present = lagOf(subscription);
      lag.set(present === null ? "–" : formatCount(present));
      actions.update(subscription);
      const recent = recentOf(minutes);
      rate.set(formatRate(minutes.perSecond));
      success.set(formatShare(recent.delivered, recent.all));
      chart.draw(minutes.delivered, minutes.failed);
    },
  };
}

/** The cause says what was answered; without an answer there is no status. */
export function toFailedDeliveries({ id, failureCause }: SubscriptionView): string {
  const [, hundreds] = /Callback answered (\d)\d\d/u.exec(failureCause ?? "") ?? [];
  const unknown = failureCause === null ? ["3xx", "4xx", "5xx", "0"] : "0";
  const status = hundreds === undefined ? unknown : `${hundreds}xx`;
  return pathTo.deliveries({ status, subscription: id });
}

export function createFigure(label: string, title: string) {
  const value = h("dd", {}, "–");
  return {
    element: h("div", { title }, h("dt", {}, label), value),
    set: (text: string) => setText(value, text),
  };
}

function describePace({ maxInFlight, maxPerSecond }: SubscriptionView): string {
  const rate = maxPerSecond === null ? "" : `, ${maxPerSecond} a second`;
  return maxInFlight === 0 ? "" : `${maxInFlight} at a time${rate}`;
}
