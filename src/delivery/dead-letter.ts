// Builds the dead letter of a failed message: subject, headers, and smaller forms if it is too large. PURE.

import { headerOf } from "./header.ts";
import { type Header, type Message, timeToken, toNatsTimestamp, toWebhookId } from "./message.ts";
import { describeOutcome, type Failure, statusOf } from "./outcome.ts";

export interface DeadLetter {
  /** Below the producer's subject; unique for each message and subscription, permanently. */
  readonly subjectSuffix: string;
  /** The original headers, less `Nats-*`. */
  readonly copiedHeaders: readonly Header[];
  readonly relayHeaders: readonly Header[];
  readonly body: Uint8Array;
}

const MAX_ERROR_LENGTH = 1024;

export function toDeadLetter(
  message: Message,
  failure: Failure,
  about: {
    subscription: string;
    application: string | null;
    entrypoint: string;
    attempts: number;
    now: Date;
  },
): DeadLetter {
  const messageId = headerOf(message.headers, "nats-msg-id");
  const relayHeaders: Header[] = [
    ["Relay-Reason", failure.kind],
    ["Relay-Status", String(statusOf(failure))],
    ["Relay-Error", toHeaderText(describeOutcome(failure).slice(0, MAX_ERROR_LENGTH))],
    ["Relay-Attempts", String(about.attempts)],
    ["Relay-Subscription", about.subscription],
    ...(about.application === null ? [] : [["Relay-Application", toHeaderText(about.application)] as const]),
    ["Relay-Entrypoint", toHeaderText(about.entrypoint)],
    ["Relay-Stream", message.stream],
    ["Relay-Sequence", String(message.sequence)],
    ["Relay-Subject", toHeaderText(message.subject)],
    ["Relay-Time-Stamp", toNatsTimestamp(message.timestampNanos)],
    ["Relay-Dead-Lettered-At", about.now.toISOString()],
    ...(messageId === null ? [] : [["Relay-Message-Id", toHeaderText(messageId)] as const]),
    ["webhook-id", toWebhookId(message)],
  ];
  return {
    subjectSuffix: letterSuffix(about.subscription, message),
    copiedHeaders: message.headers.filter(([name]) => isCopied(name)),
    relayHeaders,
    body: message.body,
  };
}

/** `<subscription>.<stream>.<sequence>-<time>`: where the letter of a message is stored, below the producer's subject. */
export function letterSuffix(subscriptionId: string, message: Message): string {
  return `${subscriptionId}.${message.stream}.${message.sequence}-${timeToken(message)}`;
}

/** The headers to try, largest first: everything, without the copied ones, without the error text, none. */
export function letterHeaderForms(letter: DeadLetter): readonly (readonly Header[])[] {
  return [
    [...letter.copiedHeaders, ...letter.relayHeaders],
    letter.relayHeaders,
    letter.relayHeaders.filter(([name]) => name !== "Relay-Error"),
    [],
  ];
}

/** A copied `Nats-*` header would control the server; a copied `Relay-*` or `webhook-id` would contradict Relay's own. */
function isCopied(name: string): boolean {
  const lower = name.toLowerCase();
  return !lower.startsWith("nats-") && !lower.startsWith("relay-") && lower !== "webhook-id";
}

/** On one line: characters that no header can hold (control characters, lone surrogates) become a space. */
function toHeaderText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, " ").trim();
}
