// Parked keys of an ordered subscription, as the API lists and resumes them.

import * as v from "valibot";
import { flag, object } from "#schema/parts.ts";
import { component } from "./component.ts";
import { count, date, dateOrNull, namedPage, stringView, textOrNull, type ViewOf } from "./view.ts";

export const parkedKeySchema = component(
  "ParkedKey",
  v.strictObject({
    key: stringView("The key; empty: that of the messages without one"),
    since: date("When it was parked"),
    failureCause: stringView("Why its first message was not delivered, at the last try"),
    sequence: count("Sequence of its first message, which is tried again"),
    messages: count("Messages of the key that wait"),
    nextTryAt: dateOrNull("When its first message is sent again; null: now, or when it is resumed"),
  }),
  {
    key: "orders.eu.4711",
    since: "2026-01-31T12:00:00.000Z",
    failureCause: "Message 52 of ORDERS: Callback answered 422",
    sequence: 52,
    messages: 3,
    nextTryAt: "2026-01-31T12:01:30.000Z",
  },
);

export type ParkedKeyView = ViewOf<typeof parkedKeySchema>;

export const parkedPageSchema = namedPage("ParkedKeyPage", parkedKeySchema);

const MAX_KEY_LENGTH = 65_536;

export const parkedResumeSchema = component(
  "ParkedResumeBody",
  object({
    key: v.pipe(v.string(), v.maxLength(MAX_KEY_LENGTH), v.description("The key, as it is listed")),
    skip: v.optional(flag("True: acknowledge its first message, and do not send it again"), false),
  }),
  { key: "orders.eu.4711", skip: false },
);

export type ParkedResumeBody = v.InferInput<typeof parkedResumeSchema>;

export const parkedResumedSchema = component(
  "ParkedKeyResumed",
  v.strictObject({
    key: stringView("The key"),
    sequence: count("Sequence of its first message"),
    skip: v.pipe(v.boolean(), v.description("True: that message is not sent again")),
    host: textOrNull("The relay that delivers the subscription; null: not known"),
  }),
  { key: "orders.eu.4711", sequence: 52, skip: false, host: "edge-7" },
);
