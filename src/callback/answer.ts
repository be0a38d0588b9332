// Converts a callback's answer to an outcome, with the delay that `Retry-After` asks for.

import { type Outcome, toOutcome } from "#delivery/outcome.ts";
import type { Responses } from "#delivery/responses.ts";
import type { ResponseHeaders } from "#delivery/exchange.ts";

interface AnswerHead {
  readonly status: number;
  readonly headers: ResponseHeaders;
}

export function toAnswerOutcome(head: AnswerHead, now: Date, responses: Responses = []): Outcome {
  const { status } = head;
  const isDelivered = status >= 200 && status < 300;
  return toOutcome(status, isDelivered ? null : retryAfterMs(head.headers["retry-after"], now), responses);
}

/** The longest delay that a config can set. */
const MAX_RETRY_AFTER_MS = 86_400_000;
const HTTP_DATE =
  /^(?:\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT|\w{6,9}, \d{2}-\w{3}-\d{2} \d{2}:\d{2}:\d{2} GMT|\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4})$/;

/** Parses `Retry-After` (RFC 9110, 10.2.3: seconds or one of three date forms), at most one day; null if it is invalid. */
export function retryAfterMs(headerValue: string | readonly string[] | undefined, now: Date): number | null {
  const text = (typeof headerValue === "string" ? headerValue : headerValue?.[0])?.trim();
  if (text === undefined) return null;
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, MAX_RETRY_AFTER_MS);
  if (!HTTP_DATE.test(text)) return null;
  const time = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  if (Number.isNaN(time)) return null;
  return Math.min(Math.max(0, time - now.getTime()), MAX_RETRY_AFTER_MS);
}
