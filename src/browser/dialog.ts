// What opens over the page: a panel with details, or a question. Escape, the cross, a click beside it and the Back
// button of the browser close it.

import { byId, h } from "./dom.ts";

interface Panel {
  readonly body: HTMLElement;
  readonly close: () => void;
}

interface PanelOptions {
  readonly title: string;
  /** The address of what it shows, while it is open: there, the same stands as a page. Default: it has none. */
  readonly href?: string;
}

let titles = 0;

/** At the side; on a small screen all of it. The focus goes in, and back where it was. */
export function openPanel({ title, href = location.href }: PanelOptions): Panel {
  const body = h("div", { class: "panel-body" });
  const dialog = openDialog({ title, style: "panel", content: body });
  let isLeft = false;
  history.pushState(null, "", href);
  addEventListener("popstate", () => (isLeft = true), { once: true });
  dialog.addEventListener("close", () => {
    if (!isLeft) history.back();
  });
  return { body, close: () => dialog.close() };
}

interface Question {
  readonly title: string;
  readonly text: string | Node;
  /** What the button says. */
  readonly action: string;
  readonly isDangerous?: boolean;
  /** To be set before the answer. */
  readonly choice?: HTMLElement | null;
  /** False: the answer is not complete yet, which `choice` says. */
  readonly isComplete?: () => boolean;
}

/** False: rather not. */
export function ask(question: Question): Promise<boolean> {
  const { title, text, action, isDangerous = false, choice = null, isComplete = () => true } = question;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const confirm = h("button", {
    class: isDangerous ? "button danger" : "button primary",
    onClick() {
      if (!isComplete()) return;
      resolve(true);
      dialog.close();
    },
  });
  confirm.textContent = action;
  const cancel = h("button", { class: "button", autofocus: true, onClick: () => dialog.close() }, "Cancel");
  const content = h(
    "div",
    {},
    typeof text === "string" ? h("p", {}, text) : text,
    choice,
    h("div", { class: "actions end" }, cancel, confirm),
  );
  const dialog = openDialog({ title, style: "question", content });
  dialog.addEventListener("close", () => resolve(false));
  return promise;
}

function openDialog({
  title,
  style,
  content,
}: {
  title: string;
  style: string;
  content: HTMLElement;
}): HTMLDialogElement {
  titles += 1;
  const id = `dialog-title-${titles}`;
  const cross = h("button", { class: "cross", "aria-label": "Close", onClick: () => dialog.close() }, "×");
  const dialog = h(
    "dialog",
    { class: style, "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), cross),
    content,
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  const onBack = () => dialog.close();
  addEventListener("popstate", onBack);
  dialog.addEventListener("close", () => {
    removeEventListener("popstate", onBack);
    document.body.append(byId("toasts"));
    dialog.remove();
    // What was focused may have been made anew meanwhile.
    if (document.activeElement === document.body) byId("main").focus({ preventScroll: true });
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
