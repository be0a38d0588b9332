// Coloured badges for a status: of a response, a subscription, a replay.

import { h, setText } from "./dom.ts";

export type Tone = "good" | "bad" | "warn" | "calm";

interface Badge {
  readonly element: HTMLElement;
  readonly set: (label: string, tone: Tone) => void;
}

export function badge(label: string, tone: Tone): HTMLElement {
  return h("span", { class: `badge ${tone}` }, label);
}

export function createBadge(): Badge {
  const element = h("span", { class: "badge calm" });
  return {
    element,
    set(label, tone) {
      setText(element, label);
      element.className = `badge ${tone}`;
    },
  };
}

/** Of a response; 0: there was none. */
export function statusBadge(status: number | null): HTMLElement {
  if (status === null) return badge("?", "calm");
  return badge(status === 0 ? "0 no response" : String(status), toneOf(status));
}

function toneOf(status: number): Tone {
  if (status >= 200 && status < 300) return "good";
  return status === 0 || status >= 500 ? "bad" : "warn";
}
