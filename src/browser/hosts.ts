// The view of all hosts: the relays of the NATS account, each of which this page can show.

import type { FleetHost } from "#wire/fleet.ts";
import { pathTo } from "./address.ts";
import { call } from "./api.ts";
import { badge } from "./badge.ts";
import { fill, h, link, timeOf } from "./dom.ts";
import { formatCount } from "./format.ts";
import { poll } from "./repeat.ts";

/** A look takes a second, for Relay waits so long for the answers of the others. */
const EVERY_MS = 5000;
const COLUMNS = ["Host", "State", "Version", "Since", "Subscriptions", "Waiting messages"];

export function showHosts(view: HTMLElement): void {
  const body = h("tbody");
  const note = h("p", { class: "banner", hidden: true });
  const head = h("tr", {}, ...COLUMNS.map((column) => h("th", { scope: "col" }, column)));
  const table = h("table", { class: "table", "aria-label": "Hosts" }, h("thead", {}, head), body);
  poll(refresh, () => EVERY_MS);

  async function refresh(): Promise<void> {
    const answer = await call("GET /fleet");
    view.removeAttribute("aria-busy");
    if (answer.kind === "refused") {
      if (answer.status !== 0) fill(view, h("p", { class: "banner bad", role: "alert" }, answer.text));
      return;
    }
    const { items, duplicates } = answer.body;
    fill(body, ...items.map(toRow));
    note.hidden = duplicates.length === 0;
    note.textContent = `Several relays have this name: ${duplicates.join(", ")}. Give each its own host.name.`;
    if (!table.isConnected) fill(view, note, h("div", { class: "card table-card" }, table));
  }
}

function toRow({ host, ready, reasons, version, startedAt, subscriptions, pending }: FleetHost): HTMLElement {
  const { failed = 0 } = subscriptions;
  const states = Object.entries(subscriptions).map(([state, count]) => `${formatCount(count)} ${state}`);
  return h(
    "tr",
    {},
    h("td", {}, link(pathTo.host(host), host)),
    h(
      "td",
      {},
      badge(ready ? "ready" : "not ready", ready && failed === 0 ? "good" : ready ? "warn" : "bad"),
      ...reasons.map((reason) => h("p", { class: "cause" }, reason)),
    ),
    h("td", {}, version),
    h("td", { class: "when" }, timeOf(startedAt)),
    h("td", { class: "wide" }, states.join(", ")),
    h("td", { class: "number" }, formatCount(pending)),
  );
}
