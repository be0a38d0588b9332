// Makes DOM elements without markup, so that text of a message or a callback stays text.

import { formatMoment, formatTime } from "./format.ts";

type Child = Node | string | null | readonly Child[];

interface Attributes {
  readonly class?: string;
  readonly title?: string;
  readonly onClick?: (event: MouseEvent) => void;
  /** Any other attribute; null and false leave it out, true sets it without a value. */
  readonly [name: string]: string | number | boolean | null | undefined | ((event: MouseEvent) => void);
}

const SVG = "http://www.w3.org/2000/svg";

/** `children`: null is nothing, a string is text. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...children.flatMap(toNodes));
  return element;
}

export function svg<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Tag] {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  element.append(...children.flatMap(toNodes));
  return element;
}

/** Opens at once on a plain click; as a link it has an address, which a new tab can have too. */
export function link(href: string, label: Child, open?: () => void): HTMLAnchorElement {
  const anchor = h("a", { href }, label);
  if (open === undefined) return anchor;
  anchor.addEventListener("click", (event) => {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    open();
  });
  return anchor;
}

/** Seen on a screen it says the time; over it, and read aloud, all of it with its zone. */
export function timeOf(date: string): HTMLElement {
  return h("time", { datetime: date, title: formatMoment(date) }, formatTime(date, new Date()));
}

export function byId(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`The page has no #${id}`);
  return element;
}

/** Puts `children` in place of all that is in `element`. */
export function fill(element: Element, ...children: readonly Child[]): void {
  element.replaceChildren(...children.flatMap(toNodes));
}

/** Touches the document only where the text is another one: what is selected or read aloud stays. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Brings the children into this order. The focus stays where it is, also in one that moves. */
export function arrange(parent: Element, wanted: readonly Element[]): void {
  const kept = new Set(wanted);
  const focused = document.activeElement;
  const gone = Array.from(parent.children).filter((child) => !kept.has(child));
  for (const child of gone) child.remove();
  wanted.forEach((child, index) => {
    const there = parent.children[index];
    if (there !== child) parent.insertBefore(child, there ?? null);
  });
  if (focused instanceof HTMLElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener("click", (event) => value(event as MouseEvent));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

function toNodes(child: Child): (Node | string)[] {
  if (child === null) return [];
  return typeof child === "string" || child instanceof Node ? [child] : child.flatMap(toNodes);
}
