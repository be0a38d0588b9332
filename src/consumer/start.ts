// Where a consumer that is made starts: after what is known to be done, else as configured. Pure.

import type { StreamInfo } from "#nats/answers.ts";
import { type ConsumerSettings, describePolicy, type Start } from "./config.ts";
import type { Position } from "./position.ts";

/** Times of creation that differ by this much are the same one, written again by a restart. */
const SAME_TIME_MS = 1;

export interface PlannedStart {
  readonly start: Start;
  readonly notes: readonly string[];
  /** True if it goes on from the position. */
  readonly isKnown: boolean;
}

/** `position` null: Relay knows nothing of the stream, nor that it was missing once. */
export function planStart(
  stream: StreamInfo,
  settings: ConsumerSettings,
  position: Position | null,
): PlannedStart {
  if (position === null) return startByPolicy(stream, settings);
  const { durable, source } = settings;
  const { continuity } = position;
  const isSame = isSameTime(position.streamCreated, stream.created);
  // Whatever the policy says: it was about a stream that came before.
  if (continuity.kind === "unknown" ? !isSame : continuity.sequence === 0) {
    const note = `Stream ${source.stream} has nothing of what Relay knew of it: consumer ${durable} reads it from its beginning`;
    return { start: { kind: "remaining" }, notes: [note], isKnown: false };
  }
  if (position.sequence === null) {
    const start = describePolicy(source.deliverPolicy);
    const note = `Nothing is known to be done of ${source.stream}: consumer ${durable} starts with deliver policy ${start} again`;
    return { start: { kind: "policy" }, notes: [note], isKnown: false };
  }
  // The server takes no other start there, and what is done has left the stream.
  if (stream.config.retention === "workqueue")
    return { start: { kind: "remaining" }, notes: [], isKnown: true };
  if (continuity.kind !== "cut") return startAfter(Math.min(position.sequence, stream.state.last_seq));
  const sequence = Math.min(position.sequence, continuity.sequence);
  const note = `Stream ${source.stream} lost messages that were known: consumer ${durable} goes on after ${sequence}`;
  return { ...startAfter(sequence), notes: [note] };
}

function startAfter(sequence: number): PlannedStart {
  return { start: { kind: "sequence", sequence: sequence + 1 }, notes: [], isKnown: true };
}

/** Beyond the end servers wait for the sequence, or deliver the last message, by their version. */
function startByPolicy({ state: { last_seq: last } }: StreamInfo, settings: ConsumerSettings): PlannedStart {
  const { durable, source } = settings;
  const { deliverPolicy: policy } = source;
  if (policy.kind !== "start-sequence" || policy.sequence <= last + 1) {
    return { start: { kind: "policy" }, notes: [], isKnown: false };
  }
  const note = `Stream ${source.stream} ends at ${last}, before start sequence ${policy.sequence}: consumer ${durable} starts with the next message`;
  return { start: { kind: "sequence", sequence: last + 1 }, notes: [note], isKnown: false };
}

/** Of creation. */
export function isSameTime(left: string, right: string): boolean {
  return left === right || Math.abs(Date.parse(left) - Date.parse(right)) <= SAME_TIME_MS;
}
