// The view of deliveries: a list with filters that can follow new ones, and the details of each.

import type { DeliveryFilterQuery, DeliveryView } from "#wire/delivery.ts";
import { withQuery } from "./api.ts";
import { badge, statusBadge } from "./badge.ts";
import { showDelivery } from "./delivery-details.ts";
import { fill, h } from "./dom.ts";
import { createFilters, type FilterField } from "./filters.ts";
import { createFollowing } from "./following.ts";
import { formatDuration, formatTime } from "./format.ts";
import { createPagedTable } from "./paged-table.ts";

const STATUSES = [
  ["2xx", "2xx delivered"],
  ["3xx", "3xx redirection"],
  ["4xx", "4xx rejected"],
  ["5xx", "5xx server error"],
  ["0", "0 no response"],
] as const;

const FIELDS: readonly FilterField<DeliveryFilterQuery>[] = [
  { name: "status", label: "Status", input: { kind: "choice", choices: STATUSES } },
  { name: "subscription", label: "Subscription", input: { kind: "text", placeholder: "id" } },
  { name: "application", label: "Application", input: { kind: "text", placeholder: "name" } },
  { name: "callbackUrl", label: "Callback URL", input: { kind: "text", placeholder: "https://…" } },
  { name: "from", label: "From", input: { kind: "moment" } },
  { name: "to", label: "To", input: { kind: "moment" } },
];

const COLUMNS = ["Date", "Status", "Callback", "Subscription", "Attempts", "Duration", "Dead letter"];

export function showDeliveries(view: HTMLElement): void {
  const filters = createFilters(FIELDS, () => void reload());
  const table = createPagedTable<DeliveryView>({
    path: "/api/deliveries",
    query: filters.values,
    caption: "Deliveries",
    columns: COLUMNS,
    numbers: ["Attempts", "Duration"],
    keyOf: ({ id }) => id,
    toRow,
    empty: "Nothing is recorded that matches. What is recorded is set under Logging; failures always are.",
  });
  const following = createFollowing<DeliveryView>({
    path: () => withQuery("/api/deliveries/stream", filters.values()),
    onBegun: () => void table.reload(),
    onItems: table.prepend,
  });
  const refresh = h("button", { class: "button", onClick: () => void table.reload() }, "Refresh");
  const file = h("a", { class: "button", download: "" }, "Export as CSV");
  const tools = h("div", { class: "bar" }, following.element, refresh, file);
  fill(view, ...filters.elements, tools, table.element);
  view.removeAttribute("aria-busy");
  void reload(); // Never rejects.
  const opened = new URLSearchParams(location.hash.slice(1)).get("delivery");
  if (opened !== null) {
    history.replaceState(null, "", `${location.pathname}${location.search}`); // Where the panel leads back to.
    void showDelivery(opened);
  }

  async function reload(): Promise<void> {
    file.href = withQuery("/api/deliveries/export", { ...filters.values(), format: "csv" });
    await table.reload();
    following.restart();
  }
}

function toRow(delivery: DeliveryView): HTMLTableRowElement {
  const { id, date, status, method, callbackUrl, subscription, application } = delivery;
  const { attempts, durationMs, deadLetterId, error } = delivery;
  const when = formatTime(date, new Date());
  const label = `Details of the delivery of ${when} to ${subscription}`;
  const open = h(
    "button",
    { class: "open", "aria-label": label, onClick: () => void showDelivery(id) },
    when,
  );
  return h(
    "tr",
    {},
    h("td", { class: "when" }, open),
    h("td", {}, statusBadge(status)),
    h(
      "td",
      { class: "wide" },
      `${method} ${callbackUrl}`,
      error === null ? null : h("p", { class: "cause" }, error),
    ),
    h("td", {}, subscription, application === null ? null : h("p", {}, h("small", {}, application))),
    h("td", { class: "number" }, attempts.length === 1 ? "1 try" : `${attempts.length} tries`),
    h("td", { class: "number" }, formatDuration(durationMs)),
    h("td", {}, ...(deadLetterId !== null ? [badge("dead letter", "warn")] : [])),
  );
}
