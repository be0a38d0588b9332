// Short notices of what was done or failed. They disappear on their own, and screen readers read them.

import type { CallResult } from "./api.ts";
import { byId, h } from "./dom.ts";

const SHOWN_MS = 6000;
const MAX_SHOWN = 4;

export function notify(text: string, tone: "good" | "bad" = "good"): void {
  const list = byId("toasts");
  // Behind an open dialog nothing is seen or read aloud.
  const top = [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
  if (list.parentElement !== top) top.append(list);
  const toast = h("p", { class: `toast ${tone}` }, text);
  list.append(toast);
  while (list.childElementCount > MAX_SHOWN) list.firstElementChild?.remove();
  setTimeout(() => toast.remove(), SHOWN_MS);
}

/** Says what came of it; true: it was done. */
export function notifyOf(answer: CallResult<unknown>, done: string): boolean {
  if (answer.kind === "ok") notify(done);
  else notify(answer.text, "bad");
  return answer.kind === "ok";
}
