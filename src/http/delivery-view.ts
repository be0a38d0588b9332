// Converts a record of the delivery log to its view. The record was masked when it was made.

import type { Capture } from "#delivery/record.ts";
import { formatWebhookId } from "#delivery/message.ts";
import { toReadableText } from "#delivery/record-mask.ts";
import type { StoredRecord } from "#delivery-log/row.ts";
import type { DeliveryDetail, DeliveryView } from "#wire/delivery.ts";

export function toDeliveryView(record: StoredRecord, host: string): DeliveryView {
  const {
    request: _request,
    response: _response,
    ...view
  } = toDeliveryDetail({ ...record, request: null, response: null }, host);
  return view;
}

export function toDeliveryDetail(record: StoredRecord, host: string): DeliveryDetail {
  return {
    id: String(record.id),
    date: record.date.toISOString(),
    host,
    entrypoint: record.entrypoint,
    subscription: record.subscription,
    application: record.application,
    method: record.method,
    callbackUrl: record.callbackUrl,
    webhookId: formatWebhookId(record.message),
    stream: record.message.stream,
    sequence: record.message.sequence,
    subject: record.message.subject,
    status: record.status,
    durationMs: toTenths(record.durationMs),
    attempts: record.attempts.map((tried) => ({
      date: tried.date.toISOString(),
      status: tried.status,
      durationMs: toTenths(tried.durationMs),
      error: tried.error,
    })),
    error: record.error,
    deadLetterId: record.deadLetterId,
    request: toCaptureView(record.request),
    response: toCaptureView(record.response),
  };
}

function toCaptureView(captured: Capture | null): DeliveryDetail["request"] {
  if (captured === null) return null;
  const { headers, body, isCut } = captured;
  const content = body === null ? null : toReadableText(body);
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
