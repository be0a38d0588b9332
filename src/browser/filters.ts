// The filters of a list: input fields, a chip for each filter in use, and the address bar, which keeps them.

import { withQuery } from "./address.ts";
import { fill, h } from "./dom.ts";
import { formatTime, zoneOf } from "./format.ts";

export interface FilterField<Query = Readonly<Record<string, unknown>>> {
  /** In the query of the address, and of the API. */
  readonly name: keyof Query & string;
  readonly label: string;
  readonly input:
    | { readonly kind: "text"; readonly placeholder: string }
    | { readonly kind: "choice"; readonly choices: readonly (readonly [value: string, label: string])[] }
    /** In the reader's time zone; RFC 3339 in the query. */
    | { readonly kind: "moment" };
  /** True: it may be there several times, and any of them will do. */
  readonly isMany?: boolean;
}

type FilterValues = Readonly<Record<string, readonly string[]>>;

interface Filters {
  readonly elements: readonly HTMLElement[];
  readonly values: () => FilterValues;
  /** For a body: a list of those that may be there several times, else the value itself. */
  readonly body: () => Readonly<Record<string, string | readonly string[]>>;
}

/** `onChanged` is called after a change, by hand or by the browser's own back button. */
export function createFilters(fields: readonly FilterField[], onChanged: () => void): Filters {
  const own = location.pathname;
  const inputs = new Map(fields.map((field) => [field.name, toInput(field)]));
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filters" },
    ...fields.map(({ name, label, input }) =>
      h(
        "label",
        {},
        input.kind === "moment" ? `${label} (${zoneOf(new Date())})` : label,
        inputs.get(name) ?? null,
      ),
    ),
    h("button", { class: "button", type: "submit" }, "Filter"),
  );
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filters in use" });
  let current: FilterValues = {};

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply(Object.fromEntries(fields.map((field) => [field.name, readField(field)])));
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  addEventListener("popstate", () => {
    // A panel was opened or closed, and the list below it stays as it is.
    if (location.pathname !== own || JSON.stringify(read()) === JSON.stringify(current)) return;
    show();
    onChanged();
  });

  function readField(field: FilterField): readonly string[] {
    const element = inputs.get(field.name);
    const typed = element?.value.trim() ?? "";
    const value = field.input.kind === "moment" && typed !== "" ? new Date(typed).toISOString() : typed;
    const before = field.isMany === true ? (current[field.name] ?? []) : [];
    return [...new Set([...before, ...(value === "" ? [] : [value])])];
  }

  function read(): FilterValues {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(
      fields.flatMap(({ name, isMany = false }) => {
        const given = query.getAll(name).filter((value) => value !== "");
        return given.length === 0 ? [] : [[name, isMany ? given : given.slice(0, 1)]];
      }),
    );
  }

  function apply(next: FilterValues): void {
    history.pushState(null, "", withQuery(own, next));
    show();
    onChanged();
  }

  function show(): void {
    current = read();
    for (const field of fields) {
      const [value = ""] = field.isMany === true ? [] : (current[field.name] ?? []);
      writeInput(field, inputs.get(field.name), value);
    }
    fill(
      chips,
      ...fields.flatMap((field) => (current[field.name] ?? []).map((value) => toChip(field, value))),
    );
  }

  function toChip({ name, label, input }: FilterField, value: string): HTMLElement {
    const isDate = input.kind === "moment" && !Number.isNaN(Date.parse(value));
    const text = `${label}: ${isDate ? formatTime(value, new Date()) : value}`;
    const onClick = () =>
      apply({ ...current, [name]: (current[name] ?? []).filter((other) => other !== value) });
    return h("button", { class: "chip", "aria-label": `Remove filter ${text}`, onClick }, `${text} ×`);
  }

  show();
  // A small screen has better use for its room.
  const isOpen = matchMedia("(min-width: 40rem)").matches;
  const summary = h("summary", { class: "button" }, "Filters");
  const box = h("details", { class: "filter-box", open: isOpen }, summary, form);
  return {
    elements: [box, chips],
    values: () => current,
    body: () => {
      const single = new Set(fields.filter(({ isMany = false }) => !isMany).map(({ name }) => name));
      return Object.fromEntries(
        Object.entries(current).map(([name, values]) => [
          name,
          single.has(name) ? (values[0] ?? "") : values,
        ]),
      );
    },
  };
}

type Input = HTMLInputElement | HTMLSelectElement;

function toInput({ input }: FilterField): Input {
  switch (input.kind) {
    case "text":
      return h("input", { type: "text", placeholder: input.placeholder, spellcheck: "false" });
    case "moment":
      return h("input", { type: "datetime-local", step: 1 });
    case "choice":
      return h(
        "select",
        {},
        ...[["", "any"] as const, ...input.choices].map(([value, label]) => h("option", { value }, label)),
      );
  }
}

function writeInput({ input }: FilterField, element: Input | undefined, value: string): void {
  if (element === undefined) return;
  // A choice that is not on the list, typed into the address, stands on its chip only.
  element.value = input.kind === "moment" ? toLocal(value) : value;
}

/** As the input wants it; empty: it is no date. */
function toLocal(value: string): string {
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) return "";
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
