// The bodies of commands on a subscription.

import * as v from "valibot";
import { choice, flag, integer, object, timestamp } from "#config/schema-parts.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";

export const resumeSchema = object({
  skip: v.optional(flag("True: the message that caused the failure is acknowledged, not sent again"), false),
});

const time = v.pipe(
  timestamp("The first message that was stored then or later, RFC 3339"),
  v.check((value) => !Number.isNaN(Date.parse(value)), "allowed: a time that exists"),
);

/** Where the subscription goes on. */
export const seekSchema = v.union(
  [
    object({
      to: choice("The first message that the stream has, what comes from now on, or the last one", [
        "all",
        "new",
        "last",
      ]),
    }),
    object({ sequence: integer("This message of the stream", { min: 1, max: Number.MAX_SAFE_INTEGER }) }),
    object({ time }),
  ],
  'allowed: { "to": "all", "new" or "last" }, { "sequence": 1 } or { "time": "2026-01-31T12:00:00Z" }',
);

export function toDeliverPolicy(target: v.InferOutput<typeof seekSchema>): DeliverPolicy {
  if ("to" in target) return { kind: target.to };
  if ("sequence" in target) return { kind: "start-sequence", sequence: target.sequence };
  return { kind: "start-time", time: new Date(target.time) };
}
