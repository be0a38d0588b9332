// Tests a subscription, stored or not: shows the request of a test message, sends it, and shows the exchange, in a panel.

import type { DryRunView } from "#wire/dry-run.ts";
import type { ExchangeView } from "#wire/subscription.ts";
import { parseJson } from "#lib/json.ts";
import { call, type CallResult, type FieldFault } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatDuration } from "./format.ts";
import { facts, headerTable, payload, section } from "./payload.ts";

const TEST_WITHIN_MS = 660_000;

type Tested = CallResult<ExchangeView | DryRunView>;

/** The message of a test, as it is typed; empty texts: Relay makes one up. */
interface Sample {
  readonly body: string;
  readonly subject: string;
}

interface TestPanel {
  readonly title: string;
  /** Whether a real request has a subject of choice too. */
  readonly takesSubject: boolean;
  readonly send: (sample: Sample) => Promise<Tested>;
  /** Sends nothing. */
  readonly preview: (sample: Sample) => Promise<Tested>;
}

/** Of a subscription that is stored. The first one is sent at once, and Relay makes it up. */
export async function openTest(id: string): Promise<void> {
  const panel = createTestPanel({
    title: `Test of ${id}`,
    takesSubject: false,
    async send({ body }) {
      const message = body === "" ? undefined : parseJson(body);
      if (body !== "" && message === undefined) return NOT_JSON;
      const options = { id, withinMs: TEST_WITHIN_MS, ...(message === undefined ? {} : { body: message }) };
      return call("POST /subscriptions/:id/test", options);
    },
    preview: (sample) =>
      call("POST /subscriptions/:id/test", { id, body: { dryRun: true, ...toBody(sample) } }),
  });
  await panel.send();
}

/** Of one that is not stored: shows its request first, without sending it. Faults of the definition are returned. */
export async function openDraftTest(subscription: unknown): Promise<readonly FieldFault[] | null> {
  const ask = (sample: Sample, dryRun: boolean) =>
    call("POST /subscriptions/test", {
      body: { subscription, dryRun, ...toBody(sample) },
      ...(dryRun ? {} : { withinMs: TEST_WITHIN_MS }),
    });
  const first = await ask({ body: "", subject: "" }, true);
  if (first.kind === "refused" && first.faults.length > 0) return first.faults.map(withoutPrefix);
  const panel = createTestPanel({
    title: "Test before saving",
    takesSubject: true,
    send: (sample) => ask(sample, false),
    preview: (sample) => ask(sample, true),
  });
  panel.show(first);
  return null;
}

const NOT_JSON: Tested = {
  kind: "refused",
  status: 0,
  text: "The message is not JSON",
  detail: "The message is not JSON",
  faults: [],
};

function toBody({ body, subject }: Sample) {
  return { ...(body === "" ? {} : { body }), ...(subject === "" ? {} : { subject }) };
}

/** The form knows its fields by their paths in the definition. */
function withoutPrefix({ path, message }: FieldFault): FieldFault {
  return { path: path.replace(/^subscription\.?/u, ""), message };
}

function createTestPanel({ title, takesSubject, send, preview }: TestPanel) {
  const { body } = openPanel({ title });
  const result = h("div", { class: "panel-part", role: "status" });
  const input = h("textarea", { rows: 4, spellcheck: "false", placeholder: "empty: Relay makes one up" });
  const subject = h("input", {
    type: "text",
    spellcheck: "false",
    placeholder: "empty: a subject of this subscription",
  });
  const sending = h("button", { class: "button primary", type: "submit" }, "Send test request");
  const onClick = () => void showPreview();
  const dry = h("button", { class: "button", type: "button", onClick }, "Show request, send nothing");
  const form = h(
    "form",
    { class: "panel-part" },
    h("label", { class: "field" }, takesSubject ? "Message" : "Message, JSON", input),
    h("label", { class: "field" }, takesSubject ? "Subject" : "Subject, if nothing is sent", subject),
    h("div", { class: "actions" }, sending, dry),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void sendIt();
  });
  fill(body, result, section("Your own test message", form));

  const read = (): Sample => ({ body: input.value.trim(), subject: subject.value.trim() });

  async function sendIt(): Promise<void> {
    fill(result, h("p", { class: "note" }, "A test request is on its way to the callback …"));
    sending.disabled = true;
    const answer = await send(read());
    sending.disabled = false;
    show(answer);
  }

  async function showPreview(): Promise<void> {
    show(await preview(read()));
  }

  function show(answer: Tested): void {
    if (answer.kind === "refused") fill(result, h("p", { class: "banner bad" }, answer.text));
    else
      fill(
        result,
        ...("result" in answer.body ? describeDryRun(answer.body) : describeExchange(answer.body)),
      );
  }

  return { send: sendIt, show };
}

const RESULTS = {
  request: "Nothing was sent. This is the request",
  filtered: "The filter does not let this message through: Relay would send no request",
  failed: "An expression fails for this message",
} as const;

function describeDryRun({ result, error, message, request }: DryRunView): readonly Node[] {
  const told = facts([
    ["Result", RESULTS[result]],
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
