// Converts the body of a seek to a position in the stream, and checks it against the end of the stream.

import type * as v from "valibot";
import type { BodyFault } from "#config/parse-subscription.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { seekSchema } from "#wire/subscription.ts";

export function toDeliverPolicy(target: v.InferOutput<typeof seekSchema>): DeliverPolicy {
  if ("to" in target) return { kind: target.to };
  if ("sequence" in target) return { kind: "start-sequence", sequence: target.sequence };
  return { kind: "start-time", time: new Date(target.time) };
}

/** Refuses a position after the end of the stream: nats-server would start at the next message instead. Null: no fault. */
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
