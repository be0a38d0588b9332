// Plans where a new consumer starts: after the last message known to be done, else by its deliver policy. PURE.

import type { StreamInfo } from "#nats/answers.ts";
import { type ConsumerSettings, describePolicy, type Start } from "./config.ts";
import type { Position } from "./position.ts";

/** Creation times that differ by less are the same: a restarted server writes them slightly differently. */
const SAME_TIME_MS = 1;

export interface PlannedStart {
  readonly start: Start;
  readonly notes: readonly string[];
  /** True if it continues from the remembered position. */
  readonly isKnown: boolean;
}

/** `position` null: Relay remembers nothing of the stream, not even that it was missing. */
export function planStart(
  stream: StreamInfo,
  settings: ConsumerSettings,
  position: Position | null,
): PlannedStart {
  if (position === null) return startByPolicy(stream, settings);
  const { durable, source } = settings;
  const { continuity } = position;
  const isSame = isSameTime(position.streamCreated, stream.created);
  // Ignore the policy: it was meant for the former stream.
  if (continuity.kind === "unknown" ? !isSame : continuity.sequence === 0) {
    const note = `Stream ${source.stream} is a new one: consumer ${durable} reads it from its beginning`;
    return { start: { kind: "remaining" }, notes: [note], isKnown: false };
  }
  if (position.sequence === null) {
    const start = describePolicy(source.deliverPolicy);
    const note = `Relay knows no done message of ${source.stream}: consumer ${durable} starts with deliver policy ${start} again`;
    return { start: { kind: "policy" }, notes: [note], isKnown: false };
  }
  // A work queue allows no other start, and has deleted the done messages.
  if (stream.config.retention === "workqueue")
    return { start: { kind: "remaining" }, notes: [], isKnown: true };
  if (continuity.kind !== "cut") return startAfter(Math.min(position.sequence, stream.state.last_seq));
  const sequence = Math.min(position.sequence, continuity.sequence);
  const note = `Stream ${source.stream} lost its newest messages: consumer ${durable} continues after ${sequence}`;
  return { ...startAfter(sequence), notes: [note] };
}

function startAfter(sequence: number): PlannedStart {
  return { start: { kind: "sequence", sequence: sequence + 1 }, notes: [], isKnown: true };
}

/** Caps a start beyond the end: depending on version, servers would wait for it or deliver the last message. */
function startByPolicy({ state: { last_seq: last } }: StreamInfo, settings: ConsumerSettings): PlannedStart {
  const { durable, source } = settings;
  const { deliverPolicy: policy } = source;
  if (policy.kind !== "start-sequence" || policy.sequence <= last + 1) {
    return { start: { kind: "policy" }, notes: [], isKnown: false };
  }
  const note = `Stream ${source.stream} ends at ${last}, before start sequence ${policy.sequence}: consumer ${durable} starts with the next message`;
  return { start: { kind: "sequence", sequence: last + 1 }, notes: [note], isKnown: false };
}

/** Compares two creation times. */
export function isSameTime(left: string, right: string): boolean {
  return left === right || Math.abs(Date.parse(left) - Date.parse(right)) <= SAME_TIME_MS;
}
