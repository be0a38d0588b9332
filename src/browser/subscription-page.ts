// The view of one subscription: its state, activity, position, what it delivered last, and its definition.

import { idInAddress, pathTo } from "./address.ts";
import { call, type SubscriptionDetail } from "./api.ts";
import { createBadge } from "./badge.ts";
import { createChart } from "./chart.ts";
import { deliveryColumns, toDeliveryRow } from "./deliveries.ts";
import { byId, fill, h, link, setText, timeOf } from "./dom.ts";
import { formatCount, formatMoment, formatRate, formatShare, formatSome } from "./format.ts";
import { createParkedKeyTable } from "./parked-keys.ts";
import { facts, headerTable, payload, section } from "./payload.ts";
import { poll } from "./repeat.ts";
import { createSubscriptionActions } from "./subscription-actions.ts";
import { createFigure, toFailedDeliveries } from "./subscription-row.ts";
import { IDLE, lagOf, type RecentActivity, recentOf, TONES, troubleOf } from "./subscription-state.ts";

const EVERY_MS = 2000;
const DELIVERIES_EVERY_MS = 5000;
const LAST_DELIVERIES = "5";

export function showSubscriptionPage(view: HTMLElement): void {
  const id = idInAddress();
  const head = createHead(id, () => refreshing.now());
  const position = h("div");
  const definition = h("div");
  const deliveries = createLastDeliveries(id);
  const parked = createParkedKeyTable(id);
  let isShown = false;
  let written = "";
  document.title = `${id} · Relay`;
  const refreshing = poll(refresh, () => EVERY_MS);
  poll(
    () => deliveries.refresh(),
    () => DELIVERIES_EVERY_MS,
  );

  async function refresh(): Promise<void> {
    const [answer, minutes] = await Promise.all([call("GET /subscriptions/:id", { id }), minutesOf(id)]);
    view.removeAttribute("aria-busy");
    if (answer.kind === "refused") {
      if (answer.status !== 0) fill(view, h("p", { class: "banner bad", role: "alert" }, answer.text));
      isShown &&= answer.status === 0;
      return;
    }
    if (!isShown) fill(view, head.element, parked.element, deliveries.element, position, definition);
    isShown = true;
    const detail = answer.body;
    head.update(detail, minutes);
    if (isOrdered(detail)) await parked.refresh();
    fill(position, describePosition(detail));
    const text = JSON.stringify(detail.definition);
    if (text !== written) fill(definition, ...describeDefinition(detail));
    written = text;
  }
}

/** The list is sorted by id: it is read from just before this one on. */
async function minutesOf(id: string): Promise<RecentActivity> {
  const before = String.fromCharCode(id.charCodeAt(id.length - 1) - 1);
  const cursor = `${id.slice(0, -1)}${before}\u{ffff}`;
  const answer = await call("GET /activity", { query: { limit: "1", cursor } });
  if (answer.kind === "refused") return IDLE;
  return answer.body.items.find(({ subscription }) => subscription === id) ?? IDLE;
}

function createHead(id: string, refresh: () => Promise<void>) {
  const state = createBadge();
  fill(byId("heading"), h("h1", {}, id, " ", state.element));
  const place = h("p", { class: "lead" });
  byId("heading").append(place);
  const why = h("span");
  const failed = h("a", {}, "What failed");
  const cause = h("p", { class: "banner", role: "status", hidden: true }, why, " ", failed);
  const rate = createFigure("rate", "Attempts a second, over the last minute");
  const lag = createFigure("lag", "Messages in the stream that are not done with");
  const success = createFigure("success, 5 min", "Attempts of the last 5 minutes that were delivered");
  const flight = createFigure("in flight", "Requests that wait for their answer");
  const retrying = createFigure("to be retried", "Messages that wait for a retry");
  const figures = [rate, lag, success, flight, retrying].map(({ element }) => element);
  const chart = createChart();
  const actions = createSubscriptionActions(id, { refresh, isWhole: true });
  const element = h(
    "div",
    { class: "subscription-head" },
    cause,
    actions.element,
    h(
      "div",
      { class: "card subscription-figures" },
      h("dl", { class: "figures" }, ...figures),
      h("div", { class: "row-chart" }, chart.element, h("small", {}, "last hour")),
    ),
  );
  return {
    element,
    update(detail: SubscriptionDetail, minutes: RecentActivity) {
      state.set(detail.state, TONES[detail.state]);
      setText(place, detail.callbackUrl);
      const trouble = troubleOf(detail, new Date());
      cause.hidden = trouble.text === null;
      cause.className = `banner ${trouble.tone}`;
      setText(why, trouble.text ?? "");
      failed.hidden = trouble.tone !== "bad";
      failed.setAttribute("href", toFailedDeliveries(detail));
      actions.update(detail);
      const present = lagOf(detail);
      const recent = recentOf(minutes);
      rate.set(formatRate(minutes.perSecond));
      lag.set(present === null ? "–" : formatCount(present));
      success.set(formatShare(recent.delivered, recent.all));
      flight.set(formatCount(detail.inFlight));
      retrying.set(formatCount(detail.retrying));
      chart.draw(minutes.delivered, minutes.failed);
    },
  };
}

function createLastDeliveries(id: string) {
  const body = h("tbody");
  const head = h("tr", {}, ...deliveryColumns().map((column) => h("th", { scope: "col" }, column)));
  const table = h("table", { class: "table", "aria-label": "Last deliveries" }, h("thead", {}, head), body);
  const card = h("div", { class: "card table-card", hidden: true }, table);
  const none = h("p", { class: "note" }, "Nothing is recorded of it yet.");
  const element = section(
    "Last deliveries",
    card,
    none,
    h(
      "p",
      { class: "links" },
      link(pathTo.deliveries({ subscription: id }), "All its deliveries"),
      link(pathTo.deadLetters({ subscription: id }), "Its dead letters"),
    ),
  );
  let before = "";
  return {
    element,
    async refresh(): Promise<void> {
      const answer = await call("GET /deliveries", { query: { subscription: id, limit: LAST_DELIVERIES } });
      if (answer.kind === "refused") return;
      const { items } = answer.body;
      const seen = JSON.stringify(items);
      if (seen === before) return;
      before = seen;
      fill(body, ...items.map(toDeliveryRow));
      card.hidden = items.length === 0;
      none.hidden = items.length > 0;
    },
  };
}

function describePosition(detail: SubscriptionDetail): Node {
  const { source, pending, ackPending, held, oldestHeldSeconds, maxInFlight, maxPerSecond } = detail;
  const { domain, stream, consumer, subjects } = source;
  const known = (count: number | null) => (count === null ? "not known" : formatSome(count, "message"));
  return section(
    "Position",
    h(
      "div",
      { class: "card details" },
      facts([
        ["Stream", domain === null ? stream : `${stream}, domain ${domain}`],
        ["Subjects", subjects.length === 0 ? "all of the stream" : subjects.join(", ")],
        ["Consumer", consumer],
        ...describeActive(detail),
        [
          "Pace",
          `${formatSome(maxInFlight, "request")} at a time at present${maxPerSecond === null ? "" : `, ${formatRate(maxPerSecond)}`}`,
        ],
        ["Waiting in the stream", known(pending)],
        ["Sent to a relay, not done with", known(ackPending)],
        [
          "Held by this relay",
          held === 0
            ? "0 messages"
            : `${formatSome(held, "message")}, the oldest for ${Math.round(oldestHeldSeconds)} s`,
        ],
      ]),
    ),
  );
}

function isOrdered({ qos }: SubscriptionDetail): boolean {
  return qos === "AT_LEAST_ONCE" || qos === "AT_MOST_ONCE";
}

/** Of several relays, one delivers an ordered subscription. */
function describeActive(detail: SubscriptionDetail): readonly (readonly [string, string | Node[]])[] {
  const { active, oneByOne, state, reason } = detail;
  if (!isOrdered(detail)) return [];
  const standsBy = state === "waiting" && reason?.startsWith("Stands by") === true;
  return [
    [
      "Active host",
      active === null
        ? "not known"
        : [document.createTextNode(`${active.host}, since `), timeOf(active.since)],
    ],
    ...(standsBy ? ([["This relay", "stands by, and takes over if that host ends or fails"]] as const) : []),
    ...(oneByOne === null ? [] : ([["One message at a time", oneByOne]] as const)),
  ];
}

function describeDefinition(detail: SubscriptionDetail): readonly Node[] {
  const { definition, origin, revision, application, entrypoint, qos, startingAt, endingAt } = detail;
  const { configuration, metadata = {} } = definition;
  const { channel, method, headers, retry, auth } = {
    ...configuration,
    ...configuration.entrypointConfiguration,
  };
  const made = origin === "file" ? "in the config file" : `by API, revision ${revision ?? "?"}`;
  return [
    section(
      "Definition",
      h(
        "div",
        { class: "card details" },
        facts([
          ["Defined", made],
          ["Entrypoint", `${entrypoint}, ${qos}`],
          ["Application", application ?? "–"],
          ["Channel", describeValue(channel, "all subjects of the endpoint")],
          ["Method", describeValue(method, "that of the entrypoint")],
          ["Retry", describeValue(retry, "that of the entrypoint")],
          ["Authentication", auth?.type ?? "none"],
          ...(startingAt === null ? [] : ([["Runs from", formatMoment(startingAt)]] as const)),
          ...(endingAt === null ? [] : ([["Runs until", formatMoment(endingAt)]] as const)),
        ]),
      ),
    ),
    ...(headers === undefined
      ? []
      : [
          section("Headers", headerTable(headers.map(({ name, value }) => [name, describeValue(value, "")]))),
        ]),
    ...(Object.keys(metadata).length === 0
      ? []
      : [section("Metadata", h("div", { class: "card details" }, facts(Object.entries(metadata))))]),
    h(
      "details",
      { class: "section" },
      h("summary", { class: "button" }, "The definition as JSON"),
      payload({ text: JSON.stringify(definition), isCut: false }),
    ),
  ];
}

/** Of objects the values by name: `retryOption No Retry`. */
function describeValue(value: unknown, absent: string): string {
  if (value === undefined) return absent;
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((one) => describeValue(one, "")).join(", ");
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return Object.entries(value)
    .map(([name, inner]) => `${name} ${describeValue(inner, "")}`)
    .join(", ");
}
