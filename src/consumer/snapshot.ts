// Reads a durable consumer, its placeholder and its stream in one snapshot, and finishes replacements that died half done.

import { RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";

import type { StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, isForbidden } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, fitToStream, refOf, toMovedConfig } from "./config.ts";
import { requestConsumerInfo, wasOvertaken } from "./info.ts";
import { PLACEHOLDER_ENDS_MS, placeholderOf, startOfPlaceholder, removePlaceholder } from "./placeholder.ts";
import type { Snapshot } from "./plan.ts";
import { cannot, refusal, requestPut, toError } from "./put.ts";
import { readStream } from "#nats/stream.ts";

/** Delay between two snapshots while a placeholder exists. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 300;
/** Several relays may replace it one after the other. */
const LONGEST_WAIT_FOR_REPLACEMENT_MS = 15_000;

/** Changes nothing. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export async function takeSnapshot(connection: Connection, settings: ConsumerSettings): Promise<Snapshot> {
  const { source, durable } = settings;
  const stream = await readSource(connection, settings);
  const ref = { domain: source.domain, stream: source.stream };
  const [consumer, placeholder] = await Promise.all(
    [durable, placeholderOf(durable)].map(async (name) => {
      const answer = await requestConsumerInfo(connection, { ...ref, durable: name });
      if (answer.kind === "ok") return answer.value.name === name ? answer.value : null;
      const isMissing = answer.kind === "refused" && answer.code === API_ERRORS.consumerNotFound;
      if (!isMissing) throw toError(settings, answer);
      return null;
    }),
  );
  return { stream, consumer: consumer ?? null, placeholder: placeholder ?? null };
}

async function readSource(connection: Connection, settings: ConsumerSettings): Promise<StreamInfo> {
  let stream: StreamInfo | null;
  try {
    stream = await readStream(connection, settings.source);
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    throw new RelayError("nats-unavailable", `${cannot(settings)}: ${error.message}`, { cause: error });
  }
  if (stream === null) throw new RelayError("stream-missing", `${cannot(settings)}: stream not found`);
  return stream;
}

/** A snapshot while no relay replaces the consumer. Finishes a replacement whose relay died. */
export async function takeSettledSnapshot(
  connection: Connection,
  settings: ConsumerSettings,
  signal: AbortSignal,
): Promise<Snapshot> {
  let seenCreated = "";
  let seenAt = 0;
  const startedAt = performance.now();
  for (let looks = 1; performance.now() - startedAt < LONGEST_WAIT_FOR_REPLACEMENT_MS; looks += 1) {
    const snapshot = await takeSnapshot(connection, settings);
    const { placeholder } = snapshot;
    if (placeholder === null) return snapshot;
    const { created } = placeholder;
    if (seenCreated !== created) [seenCreated, seenAt] = [created, performance.now()];
    if (performance.now() - seenAt >= PLACEHOLDER_ENDS_MS) {
      if (!(await finish(connection, settings, snapshot))) return { ...snapshot, placeholder: null };
    } else if (!(await sleep(Math.min(looks * FIRST_WAIT_MS, LONGEST_WAIT_MS), signal))) {
      throw refusal(settings, "another relay is re-creating it");
    }
  }
  throw refusal(settings, "other relays keep re-creating it");
}

/**
 * Creates the durable if it is missing, and deletes the placeholder. An existing durable may be the former one or its
 * successor: messages wait for either. False: this relay may not delete the placeholder, and leaves it to another.
 */
async function finish(
  connection: Connection,
  settings: ConsumerSettings,
  { stream, consumer, placeholder }: Snapshot,
): Promise<boolean> {
  if (consumer === null && placeholder !== null) {
    const fallback = startOfPlaceholder(placeholder) ?? settings.source.deliverPolicy;
    const config = toMovedConfig(fitToStream(settings, stream), fallback);
    const answer = await requestPut(connection, { settings, config, action: "create" });
    if (answer.kind !== "ok" && !wasOvertaken(answer)) throw toError(settings, answer);
  }
  const removed = await removePlaceholder(connection, refOf(settings));
  if (removed.kind === "ok") return true;
  if (isForbidden(removed)) return consumer === null;
  throw toError(settings, removed);
}

/** False also if the server does not answer. */
export async function isPresent(
  connection: Connection,
  { source, durable }: ConsumerSettings,
): Promise<boolean> {
  const answer = await requestConsumerInfo(connection, {
    domain: source.domain,
    stream: source.stream,
    durable,
  });
  return answer.kind === "ok";
}
