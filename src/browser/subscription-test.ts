// Sends test messages to a subscription's callback, and shows each exchange in a panel.

import type { ExchangeView } from "#wire/subscription.ts";
import { parseJson } from "#lib/json.ts";
import { call } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatDuration } from "./format.ts";
import { facts, headerTable, payload, section } from "./payload.ts";

const TEST_WITHIN_MS = 660_000;

/** The first one is sent at once, and Relay makes it up. */
export async function openTest(id: string): Promise<void> {
  const { body } = openPanel({ title: `Test of ${id}` });
  const result = h("div", { class: "panel-part", role: "status" });
  const input = h("textarea", { rows: 4, spellcheck: "false", placeholder: "empty: Relay makes one up" });
  const again = h("button", { class: "button", type: "submit" }, "Send this message");
  const form = h(
    "form",
    { class: "panel-part" },
    h("label", { class: "field" }, "Message, JSON", input),
    h("div", { class: "actions" }, again),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send();
  });
  fill(body, result, section("Another test", form));
  await send();

  async function send(): Promise<void> {
    const text = input.value.trim();
    const message = text === "" ? undefined : parseJson(text);
    if (text !== "" && message === undefined)
      return fill(result, h("p", { class: "banner bad" }, "The message is no JSON"));
    fill(result, h("p", { class: "note" }, "A test message is on its way to the callback …"));
    again.disabled = true;
    const options = { id, withinMs: TEST_WITHIN_MS, ...(message === undefined ? {} : { body: message }) };
    const answer = await call("POST /subscriptions/:id/test", options);
    again.disabled = false;
    if (answer.kind === "refused") fill(result, h("p", { class: "banner bad" }, answer.text));
    else fill(result, ...describeExchange(answer.body));
  }
}

function describeExchange({ status, error, durationMs, request, response }: ExchangeView): readonly Node[] {
  return [
    facts([
      ["Status", statusBadge(status)],
      ["Duration", formatDuration(durationMs)],
      ["Request", `${request.method} ${request.url}`],
      ...(error === null ? [] : ([["Error", error]] as const)),
    ]),
    section("Request headers", headerTable(request.headers)),
    ...(response === null
      ? []
      : [
          section("Response headers", headerTable(response.headers)),
          section("Response body", payload({ text: response.body, isCut: response.truncated })),
        ]),
  ];
}
