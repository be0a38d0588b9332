// The stream of a dead-letter endpoint: checked, and created if the endpoint allows it. Never changed.

import type { StreamConfig } from "@nats-io/jetstream";

import { isWithin } from "#delivery/subject.ts";
import type { DeadLetterEndpoint, DeadLetterStreamSettings } from "#delivery/subscription.ts";

import { type StreamInfo, streamInfo } from "#nats/answers.ts";
import { API_ERRORS, NO_ANSWER, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { requestStreamInfo } from "#nats/stream.ts";

const NANOS_PER_MS = 1_000_000;

/** Why a stream accepts no letters. */
interface StreamFault {
  readonly reason: string;
  /** No answer came in time. */
  readonly isSilence: boolean;
}

interface CheckOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** null: it accepts letters. Creates a missing stream if `create` is set. Never rejects. */
export async function checkDeadLetterStream(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  { signal, timeoutMs }: CheckOptions,
): Promise<StreamFault | null> {
  const answer = await requestStreamInfo(connection, endpoint, { signal, timeoutMs });
  const obstacle = await findObstacle(answer);
  return obstacle === null
    ? null
    : { reason: obstacle, isSilence: answer.kind === "unavailable" && answer.reason === NO_ANSWER };

  async function findObstacle(found: typeof answer): Promise<string | null> {
    if (found.kind === "ok") return findStreamObstacle(found.value, endpoint);
    const isMissing = found.kind === "refused" && found.code === API_ERRORS.streamNotFound;
    if (!isMissing) return about(endpoint, found.reason);
    if (endpoint.create === null) return about(endpoint, "not found");
    return makeStream(connection, endpoint, { settings: endpoint.create, signal });
  }
}

/** null: it exists now, whoever created it; else the reason. Never rejects. */
export async function makeStream(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  { settings, signal }: { settings: DeadLetterStreamSettings; signal: AbortSignal },
): Promise<string | null> {
  const answer = await requestApi(connection, {
    domain: endpoint.domain,
    call: `STREAM.CREATE.${endpoint.stream}`,
    body: toStreamConfig(endpoint, settings),
    schema: streamInfo,
    signal,
  });
  if (answer.kind === "ok") return null;
  const isThere = answer.kind === "refused" && answer.code === API_ERRORS.streamNameInUse;
  return isThere ? null : about(endpoint, `cannot be created: ${answer.reason}`);
}

/**
 * One message per subject, so that a replayed letter replaces its former version. Not `discard_new_per_subject`: that would
 * refuse the replacement.
 */
function toStreamConfig(
  { stream, subject }: DeadLetterEndpoint,
  settings: DeadLetterStreamSettings,
): Partial<StreamConfig> {
  return {
    name: stream,
    description: "Dead letters of Relay",
    subjects: [`${subject}.>`],
    storage: "file",
    retention: "limits",
    discard: "new",
    max_msgs_per_subject: 1,
    max_age: settings.maxAgeMs * NANOS_PER_MS,
    max_bytes: settings.maxBytes,
    num_replicas: settings.replicas,
  };
}

function findStreamObstacle({ config, state }: StreamInfo, endpoint: DeadLetterEndpoint): string | null {
  const letters = `${endpoint.subject}.>`;
  if (!config.subjects.some((subject) => isWithin(letters, subject))) {
    return about(endpoint, `it does not store ${letters}`);
  }
  if (config.sealed) return about(endpoint, "it is sealed");
  if (config.no_ack) return about(endpoint, "it does not confirm what it stores");
  if (config.discard !== "new") return null;
  const isFull =
    (config.max_bytes > 0 && state.bytes >= config.max_bytes) ||
    (config.max_msgs > 0 && state.messages >= config.max_msgs);
  return isFull ? about(endpoint, "it is full") : null;
}

function about({ stream, domain }: DeadLetterEndpoint, reason: string): string {
  const location = domain === null ? "" : ` of domain ${domain}`;
  return `Dead-letter stream ${stream}${location}: ${reason}`;
}
