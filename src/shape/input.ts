// What an expression sees of a message. PURE.

import { type Message, toNatsTimestamp, toWebhookId } from "#delivery/message.ts";
import { parseJson } from "#lib/json.ts";
import { MAX_TEXT } from "./meter.ts";

/** Of the subscription. */
export interface Surroundings {
  readonly subscription: string;
  readonly application: string | null;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Input {
  /** The parsed JSON; absent: it is none. Parsed when an expression asks for it. */
  readonly body?: unknown;
  /** Absent: the bytes are no UTF-8. */
  readonly text?: string;
}

/** Parses nothing before an expression asks, and everything once. */
export function toInput(
  message: Message,
  { attempt, about }: { readonly attempt: number; readonly about: Surroundings },
): Input {
  let text: string | null | undefined;
  let body: { readonly value: unknown } | null = null;
  const readText = (): string | undefined => {
    text ??= decode(message.body) ?? null;
    return text ?? undefined;
  };
  const readBody = (): unknown => {
    body ??= { value: parseJson(readText() ?? "") };
    return body.value;
  };
  const { subject, stream, sequence, timestampNanos } = message;
  const plain = {
    headers: toHeaders(message),
    subject,
    tokens: subject.split("."),
    stream,
    sequence,
    time: toNatsTimestamp(timestampNanos),
    id: toWebhookId(message),
    attempt,
    subscription: about.subscription,
    ...(about.application === null ? {} : { application: about.application }),
    metadata: { ...about.metadata },
  };
  return Object.defineProperties<object>(plain, {
    text: { get: readText, enumerable: true },
    body: { get: readBody, enumerable: true },
  });
}

/** By lower-case name; repeated ones joined, as in HTTP. */
function toHeaders(message: Message): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const [name, value] of message.headers) {
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  return headers;
}

function decode(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > MAX_TEXT) {
    throw new Error(`the message has ${bytes.byteLength} bytes, expressions read up to ${MAX_TEXT}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
