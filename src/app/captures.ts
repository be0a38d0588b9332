// Extracts the part of an exchange that the delivery log is configured to keep, without the secrets of the request. PURE.

import type { Exchange } from "#delivery/exchange.ts";
import type { ResponseHeaders } from "#delivery/exchange.ts";
import type { Header, Message } from "#delivery/message.ts";
import type { Capture, DeliveryRecord, Logging } from "#delivery/record.ts";
import { maskHeader, maskMessageHeader, SEARCHED_BODY_BYTES, toKeptBody } from "#delivery/record-mask.ts";
import type { Mask } from "#lib/mask.ts";

export type Captures = Pick<DeliveryRecord, "request" | "response">;

export const NO_CAPTURES: Captures = { request: null, response: null };

/** Reads only what is asked for. Bodies are copied: they may be parts of larger buffers. */
export function toCaptures(
  exchange: Exchange,
  { message, logging }: { readonly message: Message; readonly logging: Logging },
): Captures {
  const { requestHeaders, requestBody, responseHeaders, responseBody } = logging;
  return {
    request: requestHeaders || requestBody ? toRequestCapture(exchange, { message, logging }) : null,
    response: responseHeaders || responseBody ? toResponseCapture(exchange, logging) : null,
  };
}

function toRequestCapture(
  { request: { headers }, mask }: Exchange,
  { message: { body }, logging }: { message: Message; logging: Logging },
): Capture {
  const isCut = body.length > SEARCHED_BODY_BYTES;
  return {
    headers: logging.requestHeaders
      ? toPairs(headers).map((header) => maskMessageHeader(header, mask))
      : null,
    ...(logging.requestBody ? toKeptBody(body.subarray(0, SEARCHED_BODY_BYTES), { isCut, mask }) : NO_BODY),
  };
}

function toResponseCapture({ response, mask }: Exchange, logging: Logging): Capture | null {
  if (response === null) return null;
  const { headers, body, truncated } = response;
  return {
    headers: logging.responseHeaders ? toResponseHeaders(headers, mask) : null,
    ...(logging.responseBody ? toKeptBody(body, { isCut: truncated, mask }) : NO_BODY),
  };
}

const NO_BODY = { body: null, isCut: false };

function toResponseHeaders(headers: ResponseHeaders, mask: Mask): Header[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((line): Header => maskHeader([name, line], mask)),
  );
}

function toPairs(flat: readonly string[]): Header[] {
  return flat.flatMap((name, index): Header[] => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""]] : []));
}
