// As much of an exchange as the delivery log is asked to keep, without the secrets that went along in it.

import type { Exchange } from "#callback/client.ts";
import type { Header, Message } from "#delivery/message.ts";
import type { Capture, DeliveryRecord, Logging } from "#delivery/record.ts";
import { hideHeader, toRequestBody, toResponseBody } from "#delivery/record-mask.ts";

export type Captures = Pick<DeliveryRecord, "request" | "response">;

export const NO_CAPTURES: Captures = { request: null, response: null };

/** Only what is asked for is looked at; bodies are copied, for they may be parts of something larger. */
export function toCaptures(
  { request, response }: Exchange,
  { message, logging }: { readonly message: Message; readonly logging: Logging },
): Captures {
  const { requestHeaders, requestBody, responseHeaders, responseBody } = logging;
  return {
    request: requestHeaders || requestBody ? toRequestCapture(request, { message, logging }) : null,
    response:
      response !== null && (responseHeaders || responseBody) ? toResponseCapture(response, logging) : null,
  };
}

function toRequestCapture(
  { headers }: Exchange["request"],
  { message: { body }, logging }: { message: Message; logging: Logging },
): Capture {
  return {
    headers: logging.requestHeaders ? toPairs(headers).map(hideHeader) : null,
    ...(logging.requestBody ? toRequestBody(body) : NO_BODY),
  };
}

function toResponseCapture(response: NonNullable<Exchange["response"]>, logging: Logging): Capture {
  const { body, truncated, mask } = response;
  return {
    headers: logging.responseHeaders ? toResponseHeaders(response) : null,
    ...(logging.responseBody ? toResponseBody(body, { isCut: truncated, mask }) : NO_BODY),
  };
}

const NO_BODY = { body: null, isCut: false };

function toResponseHeaders({ headers, mask }: NonNullable<Exchange["response"]>): Header[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((line): Header => hideHeader([mask(name), mask(line)])),
  );
}

function toPairs(flat: readonly string[]): Header[] {
  return flat.flatMap((name, index): Header[] => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""]] : []));
}
