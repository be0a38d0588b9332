// The filter options of `relay logs`.

import { parseStatusFilter } from "#delivery/letter.ts";
import { parseWebhookId } from "#delivery/message.ts";
import { SUBJECT_FILTER } from "#delivery/subject.ts";
import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import { timeRange } from "./time-argument.ts";
import { type Flags, type RemoteOption, repeatable, textsOf } from "./remote-command.ts";

export const DELIVERY_FILTER_OPTIONS: readonly RemoteOption[] = [
  repeatable("--status <status>", "status of the last attempt: 404, 4xx, or 0 for no response"),
  repeatable("--subscription <id>", "of this subscription"),
  repeatable("--application <name>", "of this application"),
  repeatable("--entrypoint <id>", "of this entrypoint"),
  repeatable("--callback-url <url>", "with this text in the callback URL"),
  repeatable("--webhook-id <id>", "of the message with this webhook-id"),
  repeatable("--sequence <number>", "of the message with this sequence in its stream"),
  repeatable("--subject <subject>", "of messages with this subject, or that match this NATS filter"),
  { flags: "--from <time>", description: "first attempted at this time or later" },
  { flags: "--to <time>", description: "first attempted before this time" },
];

type Members = Readonly<Record<string, string | readonly string[]>>;

const FORMS: Readonly<
  Record<string, { readonly isRight: (text: string) => boolean; readonly takes: string }>
> = {
  status: { isRight: (text) => parseStatusFilter(text) !== null, takes: "--status takes 404, 4xx or 0" },
  webhookId: {
    isRight: (text) => parseWebhookId(text) !== null,
    takes: "--webhook-id takes one such as msg_ORDERS_4711_cwyvpeni7w9h",
  },
  sequence: {
    isRight: (text) => /^[1-9]\d{0,14}$/u.test(text),
    takes: "--sequence takes a whole number from 1",
  },
  subject: {
    isRight: (text) => SUBJECT_FILTER.test(text),
    takes: "--subject takes a subject, or a filter such as orders.*.>",
  },
};
const NAMES = [
  "status",
  "subscription",
  "application",
  "entrypoint",
  "callbackUrl",
  "webhookId",
  "sequence",
  "subject",
] as const;

/** The query for the API, without filters that were not given. Throws a RelayError `usage`. */
export function toDeliveryFilterMembers(flags: Flags, nowMs: number): Members {
  const members = [
    ...NAMES.map((name) => [name, checked(name, textsOf(flags, name))] as const),
    ...Object.entries(timeRange(flags, nowMs)).map(([name, time]) => [name, time ?? []] as const),
  ];
  return Object.fromEntries(members.filter(([, value]) => value.length > 0));
}

function checked(name: string, texts: readonly string[]): readonly string[] {
  const form = FORMS[name];
  const wrong = form === undefined ? undefined : texts.find((text) => !form.isRight(text));
  if (form === undefined || wrong === undefined) return texts;
  throw new RelayError("usage", `${form.takes}, found "${clean(wrong)}"`);
}
