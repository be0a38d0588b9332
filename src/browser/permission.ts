// Knows what the caller may do: disables the buttons of what it may not, with the reason.

import type { SessionView } from "#wire/session.ts";
import { isConsumersPage } from "./address.ts";
import { h } from "./dom.ts";

const WRITE = "relay:write";
const SUBSCRIBE = "relay:subscribe";

/** Null: everything may be changed. */
let obstacle: string | null = null;
let isOperator = true;

/** To be told before a view is filled. */
export function learnPermission({ identity }: SessionView): void {
  const scopes = identity?.kind === "jwt" ? identity.scopes : [WRITE];
  isOperator = scopes.includes(WRITE);
  const mayWrite = isOperator || (isConsumersPage && scopes.includes(SUBSCRIBE));
  obstacle = mayWrite ? null : `Your token lacks the scope ${isConsumersPage ? SUBSCRIBE : WRITE}`;
}

/** Pause and resume are for operators only. */
export function mayOperate(): boolean {
  return isOperator || !isConsumersPage;
}

/** What to say on top of the page; null: nothing. */
export function describePermission(): string | null {
  return obstacle === null ? null : `${obstacle}: nothing can be changed with it.`;
}

/** A button that changes something in Relay. */
export function writeButton(attributes: Parameters<typeof h>[1], label: string): HTMLButtonElement {
  return h(
    "button",
    { type: "button", ...attributes, ...(obstacle === null ? {} : { disabled: true, title: obstacle }) },
    label,
  );
}

/** A link to where something is made or changed, which is not there for those who may not. */
export function writeLink(href: string, label: string): HTMLAnchorElement {
  return h("a", { class: "button primary", href, hidden: obstacle !== null }, label);
}
