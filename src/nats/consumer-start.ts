// Where a consumer that is made starts: after what is known to be done, else as configured. Pure.

import type { StreamInfo } from "./answers.ts";
import { type ConsumerSettings, describePolicy, type Start } from "./consumer-config.ts";

/** Times of creation that differ by this much are the same one, written again by a restart. */
const SAME_TIME_MS = 1;

/** Everything up to and including `sequence` of the stream that was created then is done; null: not known. */
export interface Position {
  readonly streamCreated: string;
  readonly sequence: number | null;
}

export interface PlannedStart {
  readonly start: Start;
  readonly notes: readonly string[];
  /** True if it goes on from the position. */
  readonly isKnown: boolean;
}

export function planStart(
  stream: StreamInfo,
  settings: ConsumerSettings,
  position: Position | null,
): PlannedStart {
  if (position === null) return { start: { kind: "policy" }, notes: [], isKnown: false };
  const { durable, source } = settings;
  if (!isSameTime(position.streamCreated, stream.created)) {
    const start = describePolicy(source.deliverPolicy);
    const note = `Stream ${source.stream} was made anew: consumer ${durable} starts with deliver policy ${start}`;
    return { start: { kind: "policy" }, notes: [note], isKnown: false };
  }
  if (position.sequence === null) {
    const start = describePolicy(source.deliverPolicy);
    const note = `Nothing is known to be done of ${source.stream}: consumer ${durable} starts with deliver policy ${start} again`;
    return { start: { kind: "policy" }, notes: [note], isKnown: false };
  }
  // The server takes no other start there, and what is done has left the stream.
  if (stream.config.retention === "workqueue")
    return { start: { kind: "remaining" }, notes: [], isKnown: true };
  const last = stream.state.last_seq;
  const sequence = Math.min(position.sequence, last);
  const notes =
    position.sequence <= last
      ? []
      : [`Stream ${source.stream} ends at ${last}, before ${position.sequence}: it lost its last messages`];
  return { start: { kind: "sequence", sequence: sequence + 1 }, notes, isKnown: true };
}

function isSameTime(left: string, right: string): boolean {
  return left === right || Math.abs(Date.parse(left) - Date.parse(right)) <= SAME_TIME_MS;
}
