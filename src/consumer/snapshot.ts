// What the server shows of a durable consumer and its stream.

import { RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";

import type { StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, isForbidden } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, fitToStream, refOf, toMovedConfig } from "./config.ts";
import { requestConsumerInfo, wasOvertaken } from "./info.ts";
import { PLACEHOLDER_ENDS_MS, placeholderOf, placeOfPlaceholder, removePlaceholder } from "./placeholder.ts";
import type { Sight } from "./plan.ts";
import { cannot, refusal, requestPut, toError } from "./put.ts";
import { readStream } from "#nats/stream.ts";

/** Between two looks at a placeholder. */
const FIRST_WAIT_MS = 50;
const LONGEST_WAIT_MS = 300;
/** For relays that make it anew one after the other. */
const LONGEST_REST_MS = 15_000;

/** Changes nothing. Throws RelayError `stream-missing`, `nats-unavailable` or `consumer-refused`. */
export async function lookAtConsumer(connection: Connection, settings: ConsumerSettings): Promise<Sight> {
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

/** What is seen when no other relay makes it anew; what one left half done that did not come to its end is done. */
export async function lookAtRest(
  connection: Connection,
  settings: ConsumerSettings,
  signal: AbortSignal,
): Promise<Sight> {
  let seenCreated = "";
  let seenAt = 0;
  const startedAt = performance.now();
  for (let looks = 1; performance.now() - startedAt < LONGEST_REST_MS; looks += 1) {
    const sight = await lookAtConsumer(connection, settings);
    const { placeholder } = sight;
    if (placeholder === null) return sight;
    const { created } = placeholder;
    if (seenCreated !== created) [seenCreated, seenAt] = [created, performance.now()];
    if (performance.now() - seenAt >= PLACEHOLDER_ENDS_MS) {
      if (!(await finish(connection, settings, sight))) return { ...sight, placeholder: null };
    } else if (!(await sleep(Math.min(looks * FIRST_WAIT_MS, LONGEST_WAIT_MS), signal))) {
      throw refusal(settings, "another relay is making it anew");
    }
  }
  throw refusal(settings, "other relays keep making it anew");
}

/**
 * Whether the consumer that is there is the former one or its successor: what waits, waits for it. False: this relay may not
 * delete the placeholder, which is left to somebody who may.
 */
async function finish(
  connection: Connection,
  settings: ConsumerSettings,
  { stream, consumer, placeholder }: Sight,
): Promise<boolean> {
  if (consumer === null && placeholder !== null) {
    const place = placeOfPlaceholder(placeholder) ?? settings.source.deliverPolicy;
    const config = toMovedConfig(fitToStream(settings, stream), place);
    const answer = await requestPut(connection, { settings, config, action: "create" });
    if (answer.kind !== "ok" && !wasOvertaken(answer)) throw toError(settings, answer);
  }
  const removed = await removePlaceholder(connection, refOf(settings));
  if (removed.kind === "ok") return true;
  if (isForbidden(removed)) return consumer === null;
  throw toError(settings, removed);
}

/** False also if that cannot be known. */
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
