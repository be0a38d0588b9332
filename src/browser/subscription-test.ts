// Sends test messages to a subscription's callback, and shows each exchange in a panel.

import type { DryRunView } from "#wire/dry-run.ts";
import type { ExchangeView } from "#wire/subscription.ts";
import { parseJson } from "#lib/json.ts";
import { call, type CallResult } from "./api.ts";
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
  const subject = h("input", { type: "text", spellcheck: "false", placeholder: "empty: one of its own" });
  const onClick = () => void preview();
  const dry = h("button", { class: "button", type: "button", onClick }, "Show what it would become");
  const form = h(
    "form",
    { class: "panel-part" },
    h("label", { class: "field" }, "Message, JSON", input),
    h("label", { class: "field" }, "Subject, for the dry run", subject),
    h("div", { class: "actions" }, again, dry),
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
    show(answer);
  }

  /** Nothing is sent. */
  async function preview(): Promise<void> {
    const text = input.value.trim();
    const message = {
      dryRun: true,
      ...(text === "" ? {} : { body: text }),
      ...(subject.value === "" ? {} : { subject: subject.value }),
    };
    show(await call("POST /subscriptions/:id/test", { id, body: message }));
  }

  function show(answer: CallResult<ExchangeView | DryRunView>): void {
    if (answer.kind === "refused") fill(result, h("p", { class: "banner bad" }, answer.text));
    else
      fill(
        result,
        ...("result" in answer.body ? describeDryRun(answer.body) : describeExchange(answer.body)),
      );
  }
}

const RESULTS = {
  request: "This request would be sent",
  filtered: "Its filter does not let the message through: it would be acknowledged without a request",
  failed: "An expression fails for this message",
} as const;

function describeDryRun({ result, error, message, request }: DryRunView): readonly Node[] {
  const told = facts([
    ["Dry run", RESULTS[result]],
    ["Subject", message.subject],
    ...(error === null ? [] : ([["Error", error]] as const)),
    ...(request === null ? [] : ([["Request", `${request.method} ${request.url}`]] as const)),
  ]);
  if (request === null) return [told];
  return [
    told,
    section("Request headers", headerTable(request.headers)),
    section("Request body", payload({ text: request.body, isCut: request.truncated })),
  ];
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
