// The view of dead letters: a list with filters, the replays under way, and replay or purge of all that match.

import type { DeadLetterPage, DeadLetterView, LetterFilterBody } from "#wire/dead-letter.ts";
import { isConsumersPage, pathTo } from "./address.ts";
import { badge, statusBadge } from "./badge.ts";
import { fill, h, link, setText, timeOf } from "./dom.ts";
import { createFilters, type FilterField } from "./filters.ts";
import { formatMoment, formatSome, zoneOf } from "./format.ts";
import { purge, replay } from "./letter-commands.ts";
import { openLetter } from "./letter-details.ts";
import { createPagedTable } from "./paged-table.ts";
import { writeButton } from "./permission.ts";
import { createReplays } from "./replays.ts";

const REASONS = [
  ["rejected", "rejected"],
  ["server-error", "server error"],
  ["exception", "no response"],
  ["expression", "expression failed"],
  ["expired", "expired"],
] as const;

const FIELDS: readonly FilterField<LetterFilterBody>[] = [
  { name: "reason", label: "Reason", input: { kind: "choice", choices: REASONS }, isMany: true },
  { name: "status", label: "Status", input: { kind: "text", placeholder: "404, 4xx or 0" }, isMany: true },
  { name: "subscription", label: "Subscription", input: { kind: "text", placeholder: "id" }, isMany: true },
  { name: "error", label: "Error", input: { kind: "text", placeholder: "part of its text" }, isMany: true },
  { name: "from", label: "From", input: { kind: "moment" } },
  { name: "to", label: "To", input: { kind: "moment" } },
];

export function showDeadLetters(view: HTMLElement): void {
  const note = h("p", { class: "note" });
  const filters = createFilters(FIELDS, () => void table.reload());
  const table = createPagedTable({
    list: "GET /dead-letters",
    query: filters.values,
    caption: "Dead letters",
    columns: [`Time (${zoneOf(new Date())})`, "Status", "Message", "Error", "Subscription", "Attempts"],
    numbers: ["Attempts"],
    keyOf: ({ id }) => id,
    toRow: (letter) => toRow(letter, changed),
    empty: "There is no dead letter that matches.",
    onPage: (page) => setText(note, describePage(page)),
  });
  const replays = createReplays({ onEnded: () => void table.reload(), isRecentOnly: true });
  // Relay checks the values: the address may hold anything.
  const all = () => ({ filter: filters.body() as LetterFilterBody });
  const tools = h(
    "div",
    { class: "bar" },
    note,
    h("button", { class: "button", onClick: () => void table.reload() }, "Refresh"),
    writeButton({ class: "button primary", onClick: replayAll }, "Replay all that match"),
    isConsumersPage
      ? null
      : writeButton(
          { class: "button danger", onClick: () => void purge(all(), changed) },
          "Purge all that match",
        ),
  );
  fill(view, ...filters.elements, tools, replays.element, table.element);
  view.removeAttribute("aria-busy");
  changed();

  function replayAll(): void {
    const { subscription = [] } = filters.values();
    const only = subscription.length === 1 ? (subscription[0] ?? null) : null;
    void replay(all(), { subscription: only, onStarted: started });
  }

  function started(id: string, count: number): void {
    replays.expect(id, count);
    changed();
  }

  function changed(): void {
    void table.reload(); // Neither rejects.
    void replays.refresh();
  }
}

function describePage({ faults, continuesAt }: DeadLetterPage): string {
  const looked = continuesAt === null ? [] : [`Looked back to ${formatMoment(continuesAt)} so far`];
  return [...faults, ...looked].join(". ");
}

function toRow(letter: DeadLetterView, changed: () => void): HTMLTableRowElement {
  const { id, date, isForeign, status, reason, error, subscription, application } = letter;
  const { attempts, replays, stream, sequence, subject } = letter;
  const tries = [
    ...(attempts === null ? [] : [formatSome(attempts, "attempt")]),
    ...(replays === 0 ? [] : [`${replays} replayed`]),
  ];
  return h(
    "tr",
    {},
    h("td", { class: "when" }, timeOf(date)),
    h("td", {}, isForeign ? badge("not Relay's", "calm") : statusBadge(status)),
    h(
      "td",
      { class: "message" },
      link(pathTo.deadLetter(id), subject ?? id, () => openLetter(letter, changed)),
      stream === null ? null : h("p", {}, h("small", {}, `${stream} ${sequence ?? ""}`)),
    ),
    h("td", { class: "wide" }, error ?? reason ?? ""),
    h(
      "td",
      {},
      subscription === null ? "–" : link(pathTo.subscription(subscription), subscription),
      application === null ? null : h("p", {}, h("small", {}, application)),
    ),
    h("td", { class: "number" }, tries.join(", ")),
  );
}
