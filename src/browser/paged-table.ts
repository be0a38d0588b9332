// A table of a long list, loaded page by page, with a limit of rows.

import type { Query } from "./address.ts";
import { type AnswerOf, type CallResult, call, type ItemOf, type ListName } from "./api.ts";
import { fill, h, setText } from "./dom.ts";

interface PagedTable<Of extends ListName> {
  readonly element: HTMLElement;
  /** Reads the first page again, by the filters of now. */
  readonly reload: () => Promise<void>;
  /** Puts new ones on top; the rows at the end go. */
  readonly prepend: (items: readonly ItemOf<Of>[]) => void;
}

interface PagedTableOptions<Of extends ListName> {
  readonly list: Of;
  readonly query: () => Query;
  readonly caption: string;
  readonly columns: readonly string[];
  /** Those of `columns` that hold numbers. */
  readonly numbers: readonly string[];
  readonly keyOf: (item: ItemOf<Of>) => string;
  readonly toRow: (item: ItemOf<Of>) => HTMLTableRowElement;
  /** Where there is none. */
  readonly empty: string;
  /** Of each page that was read. */
  readonly onPage?: (page: AnswerOf<Of>) => void;
}

const PAGE_SIZE = "50";
const MAX_FOLLOWED = 200;
/** More at once are no news, and to fade them all would hold up the page. */
const MAX_FRESH = 20;
/** Pages one after the other: then the filters are the better way. */
const MAX_ROWS = 2000;

export function createPagedTable<Of extends ListName>(options: PagedTableOptions<Of>): PagedTable<Of> {
  const { list, query, caption, columns, numbers, keyOf, toRow, empty, onPage } = options;
  const body = h("tbody");
  const note = h("p", { class: "note" }, "Loading …");
  const more = h(
    "button",
    { class: "button", hidden: true, onClick: () => void readMore() },
    "Show older ones",
  );
  const head = h(
    "thead",
    {},
    h(
      "tr",
      {},
      ...columns.map((column) =>
        h("th", { scope: "col", ...(numbers.includes(column) ? { class: "number" } : {}) }, column),
      ),
    ),
  );
  const table = h("table", { class: "table", "aria-label": caption, hidden: true }, head, body);
  const element = h(
    "div",
    {},
    h("div", { class: "card table-card" }, table),
    note,
    h("div", { class: "more" }, more),
  );
  let next: string | null = null;
  let reads = 0;
  let shown = new Set<string>();

  /** Null: another read has begun since. */
  async function read(cursor: string | null): Promise<CallResult<AnswerOf<Of>> | null> {
    reads += 1;
    const own = reads;
    const answer = await call(list, { query: { ...query(), limit: PAGE_SIZE, cursor } });
    return own === reads ? answer : null;
  }

  async function reload(): Promise<void> {
    const answer = await read(null);
    if (answer === null) return;
    // The relay did not answer: the rows stay, in grey.
    if (answer.kind === "refused" && answer.status === 0 && shown.size > 0) return;
    shown = new Set();
    fill(body);
    next = null;
    if (answer.kind === "ok") append(answer.body);
    showState(answer.kind === "ok" ? empty : answer.text);
  }

  async function readMore(): Promise<void> {
    more.disabled = true;
    const answer = await read(next);
    more.disabled = false;
    if (answer === null) return;
    if (answer.kind === "ok") append(answer.body);
    showState(answer.kind === "ok" ? empty : answer.text);
    if (answer.kind === "refused") note.hidden = false;
  }

  function append(page: AnswerOf<Of>): void {
    next = page.next;
    const items: readonly ItemOf<Of>[] = page.items;
    const added = items.filter((item) => !shown.has(keyOf(item)));
    for (const item of added) shown.add(keyOf(item));
    body.append(...added.map(toRow));
    onPage?.(page);
  }

  function showState(text: string): void {
    const isEmpty = body.childElementCount === 0;
    table.hidden = isEmpty;
    note.hidden = !isEmpty;
    setText(note, text);
    more.hidden = next === null || body.childElementCount >= MAX_ROWS;
  }

  return {
    element,
    reload,
    prepend(items) {
      const added = items.filter((item) => !shown.has(keyOf(item))).slice(0, MAX_FOLLOWED);
      for (const item of added) shown.add(keyOf(item));
      const rows = added.map(toRow);
      if (rows.length <= MAX_FRESH) for (const row of rows) row.classList.add("fresh");
      body.prepend(...rows);
      while (body.childElementCount > MAX_FOLLOWED) body.lastElementChild?.remove();
      if (shown.size > MAX_ROWS) shown = new Set(items.map(keyOf));
      showState(empty);
    },
  };
}
