// A record of the delivery log as the API shows it: it was masked when it was made.

import * as v from "valibot";
import type { Capture } from "#delivery/record.ts";
import { readText } from "#delivery/record-mask.ts";
import type { StoredRecord } from "#delivery-log/row.ts";
import { count, date, pageSchema, text, textOrNull, type View, word } from "./view.ts";

const duration = (description: string) => v.pipe(v.number(), v.minValue(0), v.description(description));
const status = count("0: there was no response");

const attempt = v.strictObject({
  date: date("When it began"),
  status,
  durationMs: duration("In milliseconds"),
  error: textOrNull("Where there was no response"),
});

const capture = (description: string) =>
  v.pipe(
    v.nullable(
      v.strictObject({
        headers: v.pipe(
          v.nullable(v.array(v.strictTuple([v.string(), v.string()]))),
          v.description("Name and value of each, in order; null: not kept"),
        ),
        body: textOrNull("64 KiB at most; null: not kept"),
        encoding: word("Of `body`: bytes that are no UTF-8 are in base64", ["text", "base64"]),
        truncated: v.pipe(v.boolean(), v.description("There was more of the body")),
      }),
    ),
    v.description(`${description}; null: nothing of it was kept`),
  );

export const deliverySchema = v.strictObject({
  id: text("Rises with each record"),
  date: date("When the first attempt began"),
  entrypoint: text("Of the subscription"),
  subscription: text("Its id"),
  application: textOrNull("Of the subscription"),
  method: text("Of the request"),
  callbackUrl: text("As it may be shown"),
  webhookId: text("Of the message, in `webhook-id`"),
  status,
  durationMs: duration("Of the last attempt, in milliseconds"),
  attempts: v.pipe(v.array(attempt), v.description("The newest 100; empty: nothing was sent")),
  error: textOrNull("Of the last attempt; null: it was delivered"),
  deadLettered: v.pipe(v.boolean(), v.description("It was sent to the dead-letter queue")),
});

export const deliveryPageSchema = pageSchema(deliverySchema);

export const deliveryDetailSchema = v.strictObject({
  ...deliverySchema.entries,
  request: capture("The request of the last attempt"),
  response: capture("Its response"),
});

export type DeliveryView = View<typeof deliverySchema>;
export type DeliveryDetail = View<typeof deliveryDetailSchema>;

export function toDeliveryView(record: StoredRecord): DeliveryView {
  const {
    request: _request,
    response: _response,
    ...view
  } = toDeliveryDetail({ ...record, request: null, response: null });
  return view;
}

export function toDeliveryDetail(record: StoredRecord): DeliveryDetail {
  return {
    id: String(record.id),
    date: record.date.toISOString(),
    entrypoint: record.entrypoint,
    subscription: record.subscription,
    application: record.application,
    method: record.method,
    callbackUrl: record.callbackUrl,
    webhookId: record.webhookId,
    status: record.status,
    durationMs: toTenths(record.durationMs),
    attempts: record.attempts.map((tried) => ({
      date: tried.date.toISOString(),
      status: tried.status,
      durationMs: toTenths(tried.durationMs),
      error: tried.error,
    })),
    error: record.error,
    deadLettered: record.deadLettered,
    request: toCaptureView(record.request),
    response: toCaptureView(record.response),
  };
}

function toCaptureView(captured: Capture | null): DeliveryDetail["request"] {
  if (captured === null) return null;
  const { headers, body, isCut } = captured;
  const content = body === null ? null : readText(body);
  const isText = body === null || content !== null;
  return {
    headers: headers?.map(([name, value]): [string, string] => [name, value]) ?? null,
    body: isText ? content : Buffer.from(body).toString("base64"),
    encoding: isText ? "text" : "base64",
    truncated: isCut,
  };
}

function toTenths(durationMs: number): number {
  return Math.round(durationMs * 10) / 10;
}
