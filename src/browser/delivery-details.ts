// Shows one delivery in a panel: request, response, attempts, and recorded headers and bodies.

import type { AttemptView, CaptureView, DeliveryDetail } from "#wire/delivery.ts";
import { call } from "./api.ts";
import { badge, statusBadge } from "./badge.ts";
import { openPanel } from "./dialog.ts";
import { fill, h } from "./dom.ts";
import { formatDuration, formatMoment } from "./format.ts";
import { facts, headerTable, notCaptured, payload, section } from "./payload.ts";

/** While it is open the address names it. */
export async function showDelivery(id: string): Promise<void> {
  const { body } = openPanel({ title: "Delivery", hash: `delivery=${encodeURIComponent(id)}` });
  fill(body, h("p", { class: "note" }, "Loading …"));
  const answer = await call<DeliveryDetail>(`/api/deliveries/${encodeURIComponent(id)}`);
  if (answer.kind === "refused") fill(body, h("p", { class: "banner bad" }, answer.text));
  else fill(body, ...describe(answer.body));
}

function describe(delivery: DeliveryDetail): readonly Node[] {
  const { date, method, callbackUrl, status, durationMs, error, attempts, deadLetterId } = delivery;
  const { subscription, application, entrypoint, request, response } = delivery;
  return [
    section(
      "Request",
      facts([
        ["Date", formatMoment(date)],
        ["Method", method],
        ["Callback URL", callbackUrl],
        ["Subscription", subscription],
        ["Application", application ?? "–"],
        ["Entrypoint", entrypoint],
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
      deadLetterId !== null
        ? h("p", {}, badge("sent to the dead letters", "warn"))
        : h("p", { class: "note" }, "Not sent"),
    ),
    ...describeCaptured("Request", request),
    ...(status === 0
      ? [section("Response headers and body", h("p", { class: "note" }, "There was no response"))]
      : describeCaptured("Response", response)),
  ];
}

function toTable(attempts: readonly AttemptView[]): HTMLElement {
  const columns = ["Date", "Status", "Duration", "Error"];
  return h(
    "table",
    { class: "attempts" },
    h("thead", {}, h("tr", {}, ...columns.map((column) => h("th", { scope: "col" }, column)))),
    h(
      "tbody",
      {},
      ...attempts.map(({ date, status, durationMs, error }) =>
        h(
          "tr",
          {},
          h("td", {}, formatMoment(date)),
          h("td", {}, statusBadge(status)),
          h("td", {}, formatDuration(durationMs)),
          h("td", {}, error ?? ""),
        ),
      ),
    ),
  );
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
