// Shows one delivery, in a panel or as a page: message, request, response, attempts, and recorded headers and bodies.

import type { AttemptView, CaptureView, DeliveryDetail } from "#wire/delivery.ts";
import { idInAddress, pathTo } from "./address.ts";
import { call } from "./api.ts";
import { statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h, link } from "./dom.ts";
import { formatDuration, formatMoment } from "./format.ts";
import { writeButton } from "./permission.ts";
import { resendOne } from "./resend.ts";
import { facts, headerTable, notCaptured, payload, section } from "./payload.ts";

export function showDeliveryPage(view: HTMLElement): void {
  void load(view, idInAddress()); // Never rejects.
}

/** While it is open, its address is that of its page. */
export function openDelivery(id: string): Promise<void> {
  const { body } = openPanel({ title: "Delivery", href: pathTo.delivery(id) });
  return load(body, id);
}

async function load(into: HTMLElement, id: string): Promise<void> {
  fill(into, h("p", { class: "note" }, "Loading …"));
  const answer = await call("GET /deliveries/:id", { id });
  into.removeAttribute("aria-busy");
  if (answer.kind === "refused") fill(into, h("p", { class: "banner bad", role: "alert" }, answer.text));
  else fill(into, ...describe(answer.body));
}

function describe(delivery: DeliveryDetail): readonly Node[] {
  const { date, method, callbackUrl, status, durationMs, error, attempts, deadLetterId } = delivery;
  const { subscription, application, entrypoint, webhookId, request, response } = delivery;
  const { stream, sequence, subject } = delivery;
  const name = `${subject}, ${stream} ${sequence}`;
  const again = () => void resendOne({ subscription, webhookId, name });
  return [
    h("div", { class: "actions" }, writeButton({ class: "button primary", onClick: again }, "Send again")),
    section(
      "Message",
      facts([
        ["Subject", subject],
        ["Message", `${stream}, sequence ${sequence}`],
        ["webhook-id", webhookId],
        ["Subscription", link(pathTo.subscription(subscription), subscription)],
        ["Application", application ?? "–"],
        ["Entrypoint", entrypoint],
      ]),
    ),
    section(
      "Request",
      facts([
        ["First attempt", formatMoment(date)],
        ["Callback", `${method} ${callbackUrl}`],
      ]),
    ),
    section(
      "Response",
      facts([
        ["Status", statusBadge(status)],
        ["Duration", formatDuration(durationMs)],
      ]),
    ),
    ...(error === null ? [] : [section("Last error", h("p", { class: "banner bad" }, error))]),
    section("Attempts", toTable(attempts)),
    section(
      "Dead letter",
      deadLetterId === null
        ? h("p", { class: "note" }, "It is none")
        : h("p", {}, link(pathTo.deadLetter(deadLetterId), "It became a dead letter")),
    ),
    ...describeCaptured("Request", request),
    ...(status === 0
      ? [section("Response headers and body", h("p", { class: "note" }, "There was no response"))]
      : describeCaptured("Response", response)),
  ];
}

function toTable(attempts: readonly AttemptView[]): HTMLElement {
  const columns = ["Time", "Status", "Duration", "Error"];
  const rows = attempts.map(({ date, status, durationMs, error }) =>
    h(
      "tr",
      {},
      h("td", {}, formatMoment(date)),
      h("td", {}, statusBadge(status)),
      h("td", {}, formatDuration(durationMs)),
      h("td", {}, error ?? ""),
    ),
  );
  const head = h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)));
  return h("table", { class: "attempts" }, h("thead", {}, head), h("tbody", {}, ...rows));
}

function describeCaptured(title: string, captured: CaptureView | null): readonly Node[] {
  return [
    section(
      `${title} headers`,
      captured === null || captured.headers === null ? notCaptured() : headerTable(captured.headers),
    ),
    section(`${title} body`, captured === null ? notCaptured() : describeBody(captured)),
  ];
}

function describeBody({ body, encoding, truncated }: CaptureView): HTMLElement {
  if (body === null) return notCaptured();
  const text = { text: body, isCut: truncated };
  return payload(encoding === "text" ? text : { ...text, note: "no text: the bytes in base64" });
}
