// The bodies of commands on a subscription.

import * as v from "valibot";
import type { BodyFault } from "#config/parse-subscription.ts";
import { choice, flag, integer, moment, object } from "#config/schema-parts.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";

export const resumeSchema = object({
  skip: v.optional(flag("True: the message that caused the failure is acknowledged, not sent again"), false),
});

const time = moment("The first message that was stored then or later, RFC 3339");

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

/** Past its end a stream cannot be waited for: a server goes on with the next message all the same. Null: it is not past it. */
export function findSeekFault(
  start: DeliverPolicy,
  { lastSequence, now }: { lastSequence: number; now: Date },
): BodyFault | null {
  const next = lastSequence + 1;
  const end = `the stream ends at ${lastSequence}`;
  if (start.kind === "start-sequence" && start.sequence > next)
    return { path: "sequence", message: `found ${start.sequence}, allowed: up to ${next}, for ${end}` };
  if (start.kind === "start-time" && start.time > now)
    return { path: "time", message: `found a time to come, allowed: up to now, for ${end}` };
  return null;
}
