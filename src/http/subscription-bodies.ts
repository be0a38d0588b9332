// The bodies of commands on a subscription.

import * as v from "valibot";
import type { DeliverPolicy } from "#delivery/subscription.ts";

export const resumeSchema = v.strictObject({
  skip: v.optional(
    v.pipe(
      v.boolean(),
      v.description("True: the message that caused the failure is acknowledged, not sent again"),
    ),
    false,
  ),
});

/** Where the subscription goes on. */
export const seekSchema = v.union([
  v.pipe(
    v.strictObject({ to: v.picklist(["all", "new", "last"]) }),
    v.description("The first message that the stream has, what comes from now on, or the last one"),
  ),
  v.pipe(
    v.strictObject({ sequence: v.pipe(v.number(), v.safeInteger(), v.minValue(1)) }),
    v.description("This message of the stream"),
  ),
  v.pipe(
    v.strictObject({ time: v.pipe(v.string(), v.isoTimestamp()) }),
    v.description("The first message that was stored then or later, RFC 3339"),
  ),
]);

export function toDeliverPolicy(target: v.InferOutput<typeof seekSchema>): DeliverPolicy {
  if ("to" in target) return { kind: target.to };
  if ("sequence" in target) return { kind: "start-sequence", sequence: target.sequence };
  return { kind: "start-time", time: new Date(target.time) };
}
