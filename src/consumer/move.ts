// Seek: re-creates the durable consumer of a subscription at another position, whatever its deliver policy.

import type { DeliverPolicy } from "#delivery/subscription.ts";

import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, describePolicy, toPolicy } from "./config.ts";
import { floorOf } from "./info.ts";
import { findForbidden, earliestStartOf, type Snapshot } from "./plan.ts";
import { refusal } from "./put.ts";
import {
  type Aligned,
  type Round,
  type RoundResult,
  runRounds,
  make,
  NO_LIMITS_KNOWN,
  replace,
} from "./consumer.ts";

const NEVER = new AbortController().signal;

/** Re-creates the consumer at `start`. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export function moveConsumer(
  connection: Connection,
  wanted: ConsumerSettings,
  start: DeliverPolicy,
): Promise<Aligned> {
  const options = { position: null, hasSkipped: false, mayTakeAcks: () => true, signal: NEVER };
  const alignment = { connection, wanted, ...options, ...NO_LIMITS_KNOWN };
  return runRounds(alignment, (round) => moveOnce(round, start));
}

async function moveOnce(round: Round, start: DeliverPolicy): Promise<RoundResult> {
  const { snapshot, settings } = round;
  const { stream, consumer } = snapshot;
  const reason = findForbidden(stream, settings) ?? findUnmovable(snapshot, start);
  if (reason !== null) throw refusal(settings, reason);
  const last = stream.state.last_seq;
  // `new` means from now on, however long the move takes.
  const target = start.kind === "new" ? ({ kind: "start-sequence", sequence: last + 1 } as const) : start;
  if (consumer === null) {
    return make(round, { start: { kind: "at", policy: target }, notes: [], change: "created" });
  }
  // `last` changes all the time: if the move is interrupted, the consumer continues where it was.
  const fallback =
    start.kind === "last" ? toPolicy(earliestStartOf(consumer, floorOf(consumer, last)), settings) : target;
  return replace(round, { consumer, start: target, fallback }, { change: "created", notes: [] });
}

function findUnmovable({ stream, consumer }: Snapshot, start: DeliverPolicy): string | null {
  if (consumer?.config.deliver_subject !== undefined) return "a push consumer has that name";
  if (stream.config.retention !== "workqueue" || start.kind === "all") return null;
  return `a work queue delivers all that it holds, so it cannot continue at ${describePolicy(start)}`;
}
