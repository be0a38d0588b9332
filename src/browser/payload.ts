// Shows headers and bodies as text, JSON indented, with buttons to copy them.

import { indentJson } from "#lib/json.ts";
import type { HeaderPairs } from "#wire/view.ts";
import { h } from "./dom.ts";
import { notify } from "./notice.ts";

interface Payload {
  readonly text: string;
  readonly isCut: boolean;
  /** Which bytes it is, where it is not the text itself. */
  readonly note?: string;
}

/** Laying out what is longer would hold up the page. */
const MAX_LAID_OUT = 262_144;

export function facts(
  pairs: readonly (readonly [label: string, value: string | Node | readonly Node[]])[],
): HTMLElement {
  return h(
    "dl",
    { class: "facts" },
    ...pairs.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value))),
  );
}

export function section(title: string, ...content: readonly Node[]): HTMLElement {
  return h("section", { class: "section" }, h("h2", { class: "section-title" }, title), ...content);
}

export function headerTable(headers: HeaderPairs): HTMLElement {
  if (headers.length === 0) return h("p", { class: "note" }, "None");
  const lines = headers.map(([name, value]) => `${name}: ${value}`).join("\n");
  return h(
    "div",
    { class: "copied" },
    h(
      "table",
      { class: "headers" },
      h(
        "tbody",
        {},
        ...headers.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, value))),
      ),
    ),
    copyButton("Copy headers", lines),
  );
}

export function notCaptured(): HTMLElement {
  return h("p", { class: "note" }, "Not captured: logging was off for it");
}

export function payload({ text, isCut, note }: Payload): HTMLElement {
  if (text === "") return h("p", { class: "note" }, "Empty");
  const laidOut = layOut(text);
  const about = [
    ...(note === undefined ? [] : [note]),
    ...(laidOut === null ? [] : ["JSON, laid out"]),
    ...(isCut ? ["cut: there was more"] : []),
  ];
  return h(
    "div",
    { class: "copied" },
    about.length === 0 ? null : h("p", { class: "note" }, about.join(" · ")),
    h("pre", { class: "payload", tabindex: 0 }, laidOut ?? text),
    copyButton("Copy body", text),
  );
}

/** Null: it is no JSON, or none that gains by it. */
function layOut(text: string): string | null {
  return text.length <= MAX_LAID_OUT && /^\s*[[{]/u.test(text) ? indentJson(text) : null;
}

function copyButton(label: string, text: string): HTMLElement {
  return h("button", { class: "button copy", "aria-label": label, onClick: () => void copy(text) }, "Copy");
}

/** Where the page came over plain HTTP from another host there is no clipboard for it. */
async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    notify("Copied");
  } catch {
    notify("This browser does not let the page copy: select the text and copy it", "bad");
  }
}
