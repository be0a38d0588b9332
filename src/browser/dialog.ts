// What opens over the page: a panel with details, or a question. Escape, the cross, a click beside it and the Back
// button of the browser close it.

import { byId, h } from "./dom.ts";

interface Panel {
  readonly body: HTMLElement;
  readonly close: () => void;
}

interface PanelOptions {
  readonly title: string;
  /** In the address while it is open, without `#`; default: nothing. */
  readonly hash?: string;
}

let titles = 0;

/** At the side; on a small screen all of it. The focus goes in, and back where it was. */
export function openPanel({ title, hash = "" }: PanelOptions): Panel {
  const body = h("div", { class: "panel-body" });
  const dialog = openDialog({ title, style: "panel", content: body });
  let isLeft = false;
  history.pushState(null, "", `${location.pathname}${location.search}${hash === "" ? "" : `#${hash}`}`);
  addEventListener("popstate", () => (isLeft = true), { once: true });
  dialog.addEventListener("close", () => {
    if (!isLeft) history.back();
  });
  return { body, close: () => dialog.close() };
}

interface Question {
  readonly title: string;
  readonly text: string;
  /** What the button says. */
  readonly action: string;
  readonly isDangerous?: boolean;
  /** To be set before the answer. */
  readonly choice?: HTMLElement | null;
}

/** False: rather not. */
export function ask({ title, text, action, isDangerous = false, choice = null }: Question): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const confirm = h("button", {
    class: isDangerous ? "button danger" : "button primary",
    onClick() {
      resolve(true);
      dialog.close();
    },
  });
  confirm.textContent = action;
  const cancel = h("button", { class: "button", autofocus: true, onClick: () => dialog.close() }, "Cancel");
  const content = h("div", {}, h("p", {}, text), choice, h("div", { class: "actions end" }, cancel, confirm));
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
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}
