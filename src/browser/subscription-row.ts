// The row of a subscription in the overview: state, activity of the last hour, and buttons.

import type { ActivityView } from "#wire/status.ts";
import type { SubscriptionView } from "#wire/subscription.ts";
import { withQuery } from "./api.ts";
import { createBadge, type Tone } from "./badge.ts";
import { createChart, sum } from "./chart.ts";
import { h, setText } from "./dom.ts";
import { formatCount, formatRate, formatShare, formatSpan } from "./format.ts";
import { createSubscriptionActions } from "./subscription-actions.ts";

export interface SubscriptionRow {
  readonly element: HTMLElement;
  readonly update: (subscription: SubscriptionView, activity: Omit<ActivityView, "subscription">) => void;
}

interface State {
  readonly label: string;
  readonly tone: Tone;
}

/** `refresh`: asks Relay how it is now. */
export function createSubscriptionRow(id: string, refresh: () => Promise<void>): SubscriptionRow {
  const state = createBadge();
  const place = h("p", { class: "place" });
  const why = h("span");
  const failed = h("a", { "aria-label": `What failed: ${id}` }, "What failed");
  const cause = h("p", { class: "cause", hidden: true }, why, " ", failed);
  const chart = createChart();
  const rate = createFigure("rate", "Attempts a second, over the last minute");
  const lag = createFigure("lag", "Messages in the stream that are not done with");
  const success = createFigure("success", "Attempts of the last hour that were answered with 2xx");
  const actions = createSubscriptionActions(id, refresh);
  const all = h("a", { href: withQuery("/page/deliveries", { subscription: id }) }, "Deliveries");
  const letters = h("a", { href: withQuery("/page/dead-letters", { subscription: id }) }, "Dead letters");
  const element = h(
    "li",
    { class: "card row", "data-subscription": id },
    h("div", { class: "row-main" }, h("h2", {}, id, " ", state.element), place, cause),
    h("dl", { class: "figures" }, rate.element, lag.element, success.element),
    h("div", { class: "row-chart" }, chart.element, h("small", {}, "last hour")),
    h("div", { class: "row-actions" }, actions.element, h("span", { class: "links" }, all, letters)),
  );
  return {
    element,
    update(subscription, activity) {
      const { label, tone } = stateOf(subscription);
      state.set(label, tone);
      element.classList.toggle("failed", tone === "bad");
      const { application, entrypoint, qos, callbackUrl, pending, ackPending } = subscription;
      setText(place, [callbackUrl, entrypoint, qos, application].filter(Boolean).join(" · "));
      const trouble = describeTrouble(subscription, new Date());
      cause.hidden = trouble === null;
      setText(why, trouble ?? "");
      failed.hidden = subscription.failureCause === null;
      failed.setAttribute("href", toFailedDeliveries(subscription));
      lag.set(pending === null ? "–" : formatCount(pending + (ackPending ?? 0)));
      actions.update(subscription);
      const delivered = sum(activity.delivered);
      rate.set(formatRate(activity.perSecond));
      success.set(formatShare(delivered, delivered + sum(activity.failed)));
      chart.draw(activity.delivered, activity.failed);
    },
  };
}

function stateOf({ status, consumerStatus, state }: SubscriptionView): State {
  if (status === "CLOSED") return { label: "Closed", tone: "calm" };
  if (consumerStatus === "FAILURE") return { label: "Failure", tone: "bad" };
  if (status === "PAUSED") return { label: "Paused", tone: "calm" };
  if (consumerStatus === "STOPPED") return { label: "Stopped", tone: "calm" };
  if (state === "running") return { label: "Running", tone: "good" };
  return state === "waiting" ? { label: "Waiting", tone: "warn" } : { label: "Not running", tone: "calm" };
}

function describeTrouble(subscription: SubscriptionView, now: Date): string | null {
  const { failureCause, failedAt, state, reason, retrying } = subscription;
  if (failureCause !== null) {
    const since = failedAt === null ? "" : `${formatSpan(now.getTime() - Date.parse(failedAt))} ago: `;
    return `${since}${failureCause}`;
  }
  if (state === "waiting" && reason !== null) return reason;
  if (retrying === 0) return null;
  return `${formatCount(retrying)} ${retrying === 1 ? "message waits" : "messages wait"} for a retry`;
}

/** The cause says what was answered; without an answer there is no status. */
function toFailedDeliveries({ id, failureCause }: SubscriptionView): string {
  const [, hundreds] = /Callback answered (\d)\d\d/u.exec(failureCause ?? "") ?? [];
  return withQuery("/page/deliveries", {
    status: hundreds === undefined ? "0" : `${hundreds}xx`,
    subscription: id,
  });
}

function createFigure(label: string, title: string) {
  const value = h("dd", {}, "–");
  return {
    element: h("div", { title }, h("dt", {}, label), value),
    set: (text: string) => setText(value, text),
  };
}
