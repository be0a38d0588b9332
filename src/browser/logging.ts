// The view of logging: what each entrypoint records, and an override for a while.

import type { LoggingBody, LoggingView, SamplingView, SettingsView } from "#wire/logging.ts";
import { call } from "./api.ts";
import { badge } from "./badge.ts";
import { fill, h } from "./dom.ts";
import { formatTime, zoneOf } from "./format.ts";
import { notifyOf } from "./notice.ts";
import { writeButton } from "./permission.ts";

type LoggingSettings = SettingsView["logging"];

const PERIODS = [
  ["5", "5 minutes"],
  ["15", "15 minutes"],
  ["60", "1 hour"],
  ["480", "8 hours"],
  ["", "until deleted, on all relays"],
] as const;
const DEFAULT_PERIOD = "15";

const SAMPLINGS = [
  ["ALL", "every message", null],
  ["COUNT", "one of n", "100"],
  ["PROBABILITY", "by probability", "0.1"],
  ["TEMPORAL", "one in a period", "PT10S"],
  ["WINDOWED_COUNT", "n in a period", "10/PT10S"],
] as const;

const SWITCHES = [
  { label: "Request headers", side: "request", part: "headers" },
  { label: "Request body", side: "request", part: "payload" },
  { label: "Response headers", side: "response", part: "headers" },
  { label: "Response body", side: "response", part: "payload" },
] as const;

export function showLogging(view: HTMLElement): void {
  void load(); // Never rejects.

  async function load(): Promise<void> {
    const answer = await call("GET /logging");
    view.removeAttribute("aria-busy");
    if (answer.kind === "refused") return fill(view, h("p", { class: "banner bad" }, answer.text));
    const cards = answer.body.items.map((one) => toCard(one, load));
    fill(view, h("ul", { class: "rows" }, ...cards));
  }
}

function describeEnd(until: string | null): string {
  return until === null
    ? "kept for all relays"
    : `until ${formatTime(until, new Date())} ${zoneOf(new Date())}`;
}

function toCard(own: LoggingView, reload: () => Promise<void>): HTMLElement {
  const { entrypoint, file, override } = own;
  const current = override ?? file;
  const switches = createSwitches(current.logging);
  const samples = createSampling(current.sampling);
  const period = h("select", {}, ...PERIODS.map(([value, label]) => h("option", { value }, label)));
  period.value = DEFAULT_PERIOD;

  async function apply(): Promise<void> {
    const body: LoggingBody = {
      logging: switches.read(),
      sampling: samples.read(),
      ...(period.value === "" ? {} : { minutes: Number(period.value) }),
    };
    const answer = await call("PUT /logging/:id", { id: entrypoint, body });
    if (
      notifyOf(
        answer,
        `${entrypoint}: switched, ${period.value === "" ? "" : "for "}${period.selectedOptions[0]?.textContent ?? ""}`,
      )
    )
      await reload();
  }

  async function end(): Promise<void> {
    const answer = await call("DELETE /logging/:id", { id: entrypoint });
    if (notifyOf(answer, `${entrypoint}: as the file says again`)) await reload();
  }

  const until = override === null ? null : badge(describeEnd(override.until), "warn");
  const labelled = (label: string, input: HTMLElement) => {
    input.setAttribute("aria-label", label);
    return h("label", { class: "field" }, label, input);
  };
  const card = h(
    "li",
    { class: "card logging", "data-entrypoint": entrypoint },
    h("h2", {}, entrypoint, " ", until),
    h("p", { class: "place" }, `The file says: ${describe(file)}`),
    override === null
      ? null
      : h(
          "p",
          {},
          `For now: ${describe(override)}. ${override.until === null ? "On all relays." : "On this relay only."}`,
        ),
    h("fieldset", { class: "switches" }, h("legend", { class: "place" }, "Record"), ...switches.elements),
    h(
      "div",
      { class: "settings" },
      labelled("Of which messages", samples.type),
      labelled("Value", samples.value),
      labelled("For", period),
      writeButton({ class: "button primary", onClick: () => void apply() }, "Switch"),
      override === null ? null : writeButton({ class: "button", onClick: () => void end() }, "End it now"),
    ),
  );
  samples.show();
  return card;
}

function createSwitches(settings: LoggingSettings) {
  const boxes = SWITCHES.map(({ label, side, part }) => {
    const box = h("input", { type: "checkbox" });
    box.checked = settings.enabled && settings[side][part];
    return { side, part, box, element: h("label", {}, box, label) };
  });
  const isOn = (side: "request" | "response", part: "headers" | "payload") =>
    boxes.some((one) => one.side === side && one.part === part && one.box.checked);
  return {
    elements: boxes.map(({ element }) => element),
    read: (): LoggingSettings => ({
      enabled: boxes.some(({ box }) => box.checked),
      request: { headers: isOn("request", "headers"), payload: isOn("request", "payload") },
      response: { headers: isOn("response", "headers"), payload: isOn("response", "payload") },
    }),
  };
}

function createSampling(sampling: SamplingView) {
  const type = h("select", {}, ...SAMPLINGS.map(([value, label]) => h("option", { value }, label)));
  const value = h("input", { type: "text", spellcheck: "false", size: 10 });
  type.value = sampling.type;
  value.value = valueOf(sampling);
  const show = () => {
    const label = value.closest("label");
    if (label !== null) label.hidden = type.value === "ALL";
  };
  type.addEventListener("change", () => {
    value.value = SAMPLINGS.find(([name]) => name === type.value)?.[2] ?? "";
    show();
  });
  return {
    type,
    value,
    show,
    read(): SamplingView {
      const [chosen] = SAMPLINGS.find(([name]) => name === type.value) ?? ["ALL"];
      return chosen === "ALL" ? { type: chosen } : { type: chosen, value: value.value.trim() };
    },
  };
}

function valueOf(sampling: SamplingView): string {
  return sampling.type === "ALL" ? "" : sampling.value;
}

function describe({ logging, sampling }: SettingsView): string {
  const parts = SWITCHES.filter(({ side, part }) => logging.enabled && logging[side][part]);
  const what =
    parts.length === 0 ? "no headers, no bodies" : parts.map(({ label }) => label.toLowerCase()).join(", ");
  const { type } = sampling;
  const [, which = type] = SAMPLINGS.find(([name]) => name === type) ?? [];
  if (type === "ALL") return `${what}; ${which}`;
  return `${what}; ${which} (${valueOf(sampling)}), and every failure`;
}
