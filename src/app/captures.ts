// As much of an exchange as the delivery log is asked to keep.

import type { Exchange } from "#callback/client.ts";
import type { Header, Message } from "#delivery/message.ts";
import type { Capture, DeliveryRecord, Logging } from "#delivery/record.ts";
import { CAPTURED_BODY_BYTES, maskBody } from "#delivery/record-mask.ts";

type Answer = NonNullable<Exchange["response"]>;

/** Only what is asked for is looked at; bodies are copied, for they may be parts of something larger. */
export function toCaptures(
  { request, response }: Exchange,
  { message, logging }: { readonly message: Message; readonly logging: Logging },
): Pick<DeliveryRecord, "request" | "response"> {
  return {
    request:
      logging.requestHeaders || logging.requestBody ? toRequestCapture(request, { message, logging }) : null,
    response:
      response !== null && (logging.responseHeaders || logging.responseBody)
        ? toResponseCapture(response, logging)
        : null,
  };
}

function toRequestCapture(
  { headers }: Exchange["request"],
  { message: { body }, logging }: { message: Message; logging: Logging },
): Capture {
  return {
    headers: logging.requestHeaders ? toPairs(headers) : null,
    body: logging.requestBody ? body.slice(0, CAPTURED_BODY_BYTES) : null,
    isCut: logging.requestBody && body.length > CAPTURED_BODY_BYTES,
  };
}

/** Access tokens are hidden at once: only the newest are known. */
function toResponseCapture(response: Answer, logging: Logging): Capture {
  const { body, truncated, maskTokens } = response;
  const maskRead = truncated ? (text: string) => maskTokens(text, "cut") : maskTokens;
  return {
    headers: logging.responseHeaders ? toAnswerHeaders(response) : null,
    body: logging.responseBody ? maskBody(body, maskRead) : null,
    isCut: logging.responseBody && truncated,
  };
}

function toAnswerHeaders({ headers, maskTokens }: Answer): Header[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((line): Header => [name, maskTokens(line)]),
  );
}

function toPairs(flat: readonly string[]): Header[] {
  return flat.flatMap((name, index): Header[] => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""]] : []));
}
