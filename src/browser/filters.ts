// The filters of a list: input fields, a chip for each filter in use, and the address bar, which keeps them.

import { fill, h } from "./dom.ts";
import { formatTime } from "./format.ts";

export interface FilterField<Query = Readonly<Record<string, string>>> {
  /** In the query of the address, and of the API. */
  readonly name: keyof Query & string;
  readonly label: string;
  readonly input:
    | { readonly kind: "text"; readonly placeholder: string }
    | { readonly kind: "choice"; readonly choices: readonly (readonly [value: string, label: string])[] }
    /** In the reader's time zone; RFC 3339 in the query. */
    | { readonly kind: "moment" };
}

type FilterValues = Readonly<Record<string, string>>;

interface Filters {
  readonly elements: readonly HTMLElement[];
  readonly values: () => FilterValues;
}

/** `onChanged` is called after a change, by hand or by the browser's own back button. */
export function createFilters(fields: readonly FilterField[], onChanged: () => void): Filters {
  const inputs = new Map(fields.map((field) => [field.name, toInput(field)]));
  const form = h(
    "form",
    { class: "filters", role: "search", "aria-label": "Filters" },
    ...fields.map(({ name, label }) => h("label", {}, label, inputs.get(name) ?? null)),
    h("button", { class: "button", type: "submit" }, "Filter"),
  );
  let shown = "";
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Filters in use" });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply(Object.fromEntries(fields.map((field) => [field.name, readInput(field, inputs.get(field.name))])));
  });
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) form.requestSubmit();
  });
  addEventListener("popstate", () => {
    if (location.search === shown) return; // A panel was closed.
    show();
    onChanged();
  });

  function values(): FilterValues {
    const query = new URLSearchParams(location.search);
    return Object.fromEntries(
      fields.flatMap(({ name }) => {
        const value = query.get(name) ?? "";
        return value === "" ? [] : [[name, value]];
      }),
    );
  }

  function apply(next: FilterValues): void {
    const query = new URLSearchParams(Object.entries(next).filter(([, value]) => value !== "")).toString();
    history.pushState(null, "", query === "" ? location.pathname : `?${query}`);
    show();
    onChanged();
  }

  function show(): void {
    const current = values();
    shown = location.search;
    for (const field of fields) writeInput(field, inputs.get(field.name), current[field.name] ?? "");
    fill(
      chips,
      ...fields
        .filter(({ name }) => name in current)
        .map((field) =>
          toChip(field, current[field.name] ?? "", () => apply({ ...current, [field.name]: "" })),
        ),
    );
  }

  show();
  // A small screen has better use for its room.
  const isOpen = matchMedia("(min-width: 40rem)").matches;
  const box = h(
    "details",
    { class: "filter-box", open: isOpen },
    h("summary", { class: "button" }, "Filters"),
    form,
  );
  return { elements: [box, chips], values };
}

type Input = HTMLInputElement | HTMLSelectElement;

function toInput({ input }: FilterField): Input {
  switch (input.kind) {
    case "text":
      return h("input", { type: "text", placeholder: input.placeholder, spellcheck: "false" });
    case "moment":
      return h("input", { type: "datetime-local" });
    case "choice":
      return h(
        "select",
        {},
        ...[["", "any"] as const, ...input.choices].map(([value, label]) => h("option", { value }, label)),
      );
  }
}

function readInput({ input }: FilterField, element: Input | undefined): string {
  const value = element?.value.trim() ?? "";
  return input.kind === "moment" && value !== "" ? new Date(value).toISOString() : value;
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
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function toChip({ label, input }: FilterField, value: string, onRemove: () => void): HTMLElement {
  const isDate = input.kind === "moment" && !Number.isNaN(Date.parse(value));
  const text = `${label}: ${isDate ? formatTime(value, new Date()) : value}`;
  const attributes = { class: "chip", "aria-label": `Remove filter ${text}`, onClick: onRemove };
  return h("button", attributes, `${text} ×`);
}
