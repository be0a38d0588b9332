// Previews a seek: where a subscription stands, where it would go on, and how many messages that repeats or leaves out.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";
import type { Connection } from "#nats/connection.ts";
import { readStream } from "#nats/stream.ts";
import { type ConsumerSettings, NANOS_PER_MS, refOf, toMovedConfig, type WantedConfig } from "./config.ts";
import { readConsumer, requestDelete } from "./info.ts";
import { requestPut } from "./put.ts";

export interface SeekPreview {
  /** The first message that is not done; null: not known. */
  readonly position: number | null;
  /** Where it would go on; null: not known. */
  readonly sequence: number | null;
  /** 0: it never had a message. */
  readonly lastSequence: number;
  /** Messages that it delivers without the seek; null: not known. */
  readonly waiting: number | null;
  /** Messages that it would deliver after the seek; null: not known. */
  readonly afterwards: number | null;
  /** False: it delivers the same messages without the seek. */
  readonly changes: boolean;
}

/** No subscription has it: their consumers begin with `relay-`, and only those can be orphans. */
const NAME_PREFIX = "relay_seek_preview_";
/** The server deletes it then if the relay could not. */
const INACTIVE_MS = 5000;

/**
 * A temporary consumer at the new position lets the server count. Where it cannot be created, as on a work queue, the count
 * is not known. Rejects with a RelayError if the stream cannot be read.
 */
export async function previewSeek(
  connection: Connection,
  settings: ConsumerSettings,
  start: DeliverPolicy,
): Promise<SeekPreview> {
  const { stream } = settings.source;
  const info = await readStream(connection, settings.source);
  if (info === null) throw new RelayError("unavailable", `Cannot read stream ${stream}: stream not found`);
  const reading = await readConsumer(connection, refOf(settings));
  const own = { ...settings, durable: NAME_PREFIX + crypto.randomUUID() };
  const made = await requestPut(connection, {
    settings: own,
    config: toTemporary(toMovedConfig(own, start), own.durable),
    action: "create",
  });
  if (made.kind !== "refused") void requestDelete(connection, refOf(own)); // Never rejects; the server deletes it soon anyway.
  const counted = made.kind === "ok" ? made.value : null;
  const found = {
    position: reading === null || reading.ackFloor === null ? null : reading.ackFloor + 1,
    sequence: counted === null ? null : counted.delivered.stream_seq + 1,
    waiting: reading === null ? null : reading.pending + reading.ackPending,
    afterwards: counted === null ? null : counted.num_pending,
  };
  return { ...found, lastSequence: info.state.last_seq, changes: isChange(found) };
}

/** As many messages from the position on or from before are the same ones; after it, others may be among them. */
function isChange({
  position,
  sequence,
  waiting,
  afterwards,
}: Omit<SeekPreview, "changes" | "lastSequence">): boolean {
  if (waiting === null || waiting !== afterwards) return true;
  return waiting > 0 && (position === null || sequence === null || sequence > position);
}

function toTemporary(moved: WantedConfig, name: string): WantedConfig {
  const { durable_name: _durable, ack_wait: _wait, max_ack_pending: _max, ...kept } = moved;
  return {
    ...kept,
    name,
    description: "Relay previews a seek",
    ack_policy: "none",
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: INACTIVE_MS * NANOS_PER_MS,
  };
}
