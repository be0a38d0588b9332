// Shows faults beside the fields of a form that they are about, by the path that the API gives them.

import type { FieldFault } from "./api.ts";
import { h } from "./dom.ts";

export interface FaultBoard {
  /** Where the faults of that path are shown. */
  readonly add: (path: string, element: HTMLElement) => HTMLElement;
  /** Those that have no field are returned. The focus goes to the first that has one. */
  readonly show: (faults: readonly FieldFault[]) => readonly FieldFault[];
}

let ids = 0;

export function createFaultBoard(): FaultBoard {
  const places = new Map<string, { readonly element: HTMLElement; readonly note: HTMLElement }>();

  /** The field itself, else the one that it is part of. */
  function find(path: string) {
    for (let rest = path; rest !== ""; rest = rest.replace(/(?:^|\.)[^.[\]]+$|\[\d+\]$/u, "")) {
      const place = places.get(rest);
      if (place?.element.isConnected === true) return place;
    }
    return null;
  }

  return {
    add(path, element) {
      ids += 1;
      const note = h("span", { id: `fault-${ids}`, class: "field-error", hidden: true });
      const described = element.getAttribute("aria-describedby");
      element.setAttribute("aria-describedby", described === null ? note.id : `${described} ${note.id}`);
      places.set(path, { element, note });
      return note;
    },
    show(faults) {
      for (const { element, note } of places.values()) {
        note.hidden = true;
        note.textContent = "";
        element.removeAttribute("aria-invalid");
        element.removeAttribute("aria-errormessage");
      }
      let isFirst = true;
      return faults.filter(({ path, message }) => {
        const place = find(path);
        if (place === null) return true;
        const { element, note } = place;
        note.textContent = note.hidden ? message : `${note.textContent}. ${message}`;
        note.hidden = false;
        element.setAttribute("aria-invalid", "true");
        element.setAttribute("aria-errormessage", note.id);
        for (
          let box = element.closest("details");
          box !== null;
          box = box.parentElement?.closest("details") ?? null
        )
          box.open = true;
        if (isFirst) element.focus();
        isFirst = false;
        return false;
      });
    },
  };
}
