// A seek: the durable consumer of a subscription is made anew at another place, whatever its policy says.

import type { DeliverPolicy } from "#delivery/subscription.ts";

import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, describePolicy, toPolicy } from "./config.ts";
import { floorOf } from "./info.ts";
import { findForbidden, placeOf, type Sight } from "./plan.ts";
import { refusal } from "./put.ts";
import { type Aligned, type Ground, type Look, lookUntil, make, NOTHING_KNOWN, replace } from "./consumer.ts";

const NEVER = new AbortController().signal;

/** Makes the consumer anew at another place. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export function moveConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  start: DeliverPolicy,
): Promise<Aligned> {
  const options = { position: null, hasSkipped: false, mayTakeAcks: () => true, signal: NEVER };
  const alignment = { connection, wanted, ...options, ...NOTHING_KNOWN };
  return lookUntil(alignment, (ground) => moveOnce(ground, start));
}

async function moveOnce(ground: Ground, start: DeliverPolicy): Promise<Look> {
  const { sight, settings } = ground;
  const { stream, consumer } = sight;
  const reason = findForbidden(stream, settings) ?? findUnmovable(sight, start);
  if (reason !== null) throw refusal(settings, reason);
  const last = stream.state.last_seq;
  // What is published from now on, however long it takes.
  const target = start.kind === "new" ? ({ kind: "start-sequence", sequence: last + 1 } as const) : start;
  if (consumer === null) {
    return make(ground, { start: { kind: "at", policy: target }, notes: [], change: "created" });
  }
  // The last one is another one every moment: who finds it half done goes on where it was.
  const place =
    start.kind === "last" ? toPolicy(placeOf(consumer, floorOf(consumer, last)), settings) : target;
  return replace(ground, { consumer, start: target, place }, { change: "created", notes: [] });
}

function findUnmovable({ stream, consumer }: Sight, start: DeliverPolicy): string | null {
  if (consumer?.config.deliver_subject !== undefined) return "a push consumer has that name";
  if (stream.config.retention !== "workqueue" || start.kind === "all") return null;
  return `a work queue delivers all that it holds, so it cannot go on at ${describePolicy(start)}`;
}
