// The view of deliveries: a list with filters that can follow new ones, and the details of each.

import type { DeliveryFilterQuery, DeliveryView } from "#wire/delivery.ts";
import { pathTo, toApi, withQuery } from "./address.ts";
import { statusBadge } from "./badge.ts";
import { openDelivery } from "./delivery-details.ts";
import { fill, h, link, setText, timeOf } from "./dom.ts";
import { createFilters, type FilterField } from "./filters.ts";
import { createFollowing } from "./following.ts";
import { formatDuration, formatSome, zoneOf } from "./format.ts";
import { createPagedTable } from "./paged-table.ts";

const STATUSES = [
  ["2xx", "2xx delivered"],
  ["3xx", "3xx redirection"],
  ["4xx", "4xx rejected"],
  ["5xx", "5xx server error"],
  ["0", "0 no response"],
] as const;

const FIELDS: readonly FilterField<DeliveryFilterQuery>[] = [
  { name: "status", label: "Status", input: { kind: "choice", choices: STATUSES }, isMany: true },
  { name: "subject", label: "Subject", input: { kind: "text", placeholder: "orders.*.>" }, isMany: true },
  { name: "sequence", label: "Sequence", input: { kind: "text", placeholder: "4711" }, isMany: true },
  { name: "webhookId", label: "webhook-id", input: { kind: "text", placeholder: "msg_…" }, isMany: true },
  { name: "subscription", label: "Subscription", input: { kind: "text", placeholder: "id" }, isMany: true },
  { name: "application", label: "Application", input: { kind: "text", placeholder: "name" }, isMany: true },
  {
    name: "callbackUrl",
    label: "Callback URL",
    input: { kind: "text", placeholder: "https://…" },
    isMany: true,
  },
  { name: "from", label: "From", input: { kind: "moment" } },
  { name: "to", label: "To", input: { kind: "moment" } },
];

export function showDeliveries(view: HTMLElement): void {
  const filters = createFilters(FIELDS, () => void reload());
  const note = h("p", { class: "note", role: "status" });
  const table = createPagedTable({
    list: "GET /deliveries",
    query: filters.values,
    caption: "Deliveries",
    columns: deliveryColumns(),
    numbers: ["Attempts", "Duration"],
    keyOf: ({ id }) => id,
    toRow: toDeliveryRow,
    onPage: ({ leftOut }) => setText(note, describeLeftOut(leftOut)),
    empty: "Nothing is recorded that matches. What is recorded is set under Logging; failures always are.",
  });
  const following = createFollowing<DeliveryView>({
    path: () => withQuery(toApi("/deliveries/stream"), filters.values()),
    onBegun: () => void table.reload(),
    onItems: table.prepend,
  });
  const refresh = h("button", { class: "button", onClick: () => void table.reload() }, "Refresh");
  const file = h("a", { class: "button", download: "" }, "Export as CSV");
  const tools = h("div", { class: "bar" }, note, following.element, refresh, file);
  fill(view, ...filters.elements, tools, table.element);
  view.removeAttribute("aria-busy");
  void reload(); // Never rejects.

  async function reload(): Promise<void> {
    file.href = withQuery(toApi("/deliveries/export"), { ...filters.values(), format: "csv" });
    await table.reload();
    following.restart();
  }
}

export function deliveryColumns(): readonly string[] {
  const time = `Time (${zoneOf(new Date())})`;
  return [time, "Status", "Message", "Callback", "Subscription", "Attempts", "Duration", "Dead letter"];
}

export function toDeliveryRow(delivery: DeliveryView): HTMLTableRowElement {
  const { id, date, status, method, callbackUrl, subscription, application } = delivery;
  const { attempts, durationMs, deadLetterId, stream, sequence, subject, error } = delivery;
  return h(
    "tr",
    {},
    h("td", { class: "when" }, timeOf(date)),
    h("td", {}, statusBadge(status)),
    h(
      "td",
      { class: "message" },
      link(pathTo.delivery(id), subject, () => void openDelivery(id)),
      h("p", {}, h("small", {}, `${stream} ${sequence}`)),
    ),
    h(
      "td",
      { class: "wide" },
      `${method} ${callbackUrl}`,
      error === null ? null : h("p", { class: "cause" }, error),
    ),
    h("td", {}, link(pathTo.subscription(subscription), subscription), describeApplication(application)),
    h("td", { class: "number" }, formatSome(attempts.length, "attempt")),
    h("td", { class: "number" }, formatDuration(durationMs)),
    h("td", {}, deadLetterId === null ? null : link(pathTo.deadLetter(deadLetterId), "dead letter")),
  );
}

function describeLeftOut(leftOut: number): string {
  if (leftOut === 0) return "";
  return `${formatSome(leftOut, "delivery", "deliveries")} left out by sampling: see Logging`;
}

function describeApplication(application: string | null): HTMLElement | null {
  return application === null ? null : h("p", {}, h("small", {}, application));
}
