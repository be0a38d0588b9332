// Disables the buttons that write, with the reason, if the token may only read.

import type { SessionView } from "#wire/session.ts";
import { h } from "./dom.ts";

const SCOPE = "relay:write";

/** Null: everything may be changed. */
let obstacle: string | null = null;

/** To be told before a view is filled. */
export function learnPermission({ identity }: SessionView): void {
  const mayWrite = identity === null || identity.kind === "operator" || identity.scopes.includes(SCOPE);
  obstacle = mayWrite ? null : `Your token lacks the scope ${SCOPE}`;
}

/** What to say on top of the page; null: nothing. */
export function describePermission(): string | null {
  return obstacle === null ? null : `${obstacle}: nothing can be changed with it.`;
}

/** A button that changes something in Relay. */
export function writeButton(attributes: Parameters<typeof h>[1], label: string): HTMLButtonElement {
  return h(
    "button",
    { ...attributes, ...(obstacle === null ? {} : { disabled: true, title: obstacle }) },
    label,
  );
}
