// The stream of a dead-letter endpoint: looked at, and made where the endpoint allows it. Never changed.

import type { StreamConfig, StreamInfo } from "@nats-io/jetstream";

import { isWithin } from "#delivery/subject.ts";
import type { DeadLetterEndpoint, DeadLetterStreamSettings } from "#delivery/subscription.ts";

import { API_ERRORS, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";
import { requestStreamInfo } from "./stream.ts";

const NANOS_PER_MS = 1_000_000;

/** null: it takes letters; else why not. Makes it if it is missing and `create` is set. */
export async function checkDeadLetterStream(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
): Promise<string | null> {
  const answer = await requestStreamInfo(connection, endpoint);
  if (answer.kind === "ok") return findObstacle(answer.value, endpoint);
  const isMissing = answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound;
  if (!isMissing) return about(endpoint, answer.reason);
  return endpoint.create === null
    ? about(endpoint, "not found")
    : makeStream(connection, endpoint, endpoint.create);
}

/** null: it is there now, by whosever hand; else why not. */
export async function makeStream(
  connection: Connection,
  endpoint: DeadLetterEndpoint,
  settings: DeadLetterStreamSettings,
): Promise<string | null> {
  const answer = await requestApi<StreamInfo>(connection, {
    domain: endpoint.domain,
    call: `STREAM.CREATE.${endpoint.stream}`,
    body: toStreamConfig(endpoint, settings),
  });
  if (answer.kind === "ok") return null;
  const isThere = answer.kind === "refused" && answer.code === API_ERRORS.streamNameInUse;
  return isThere ? null : about(endpoint, `cannot be created: ${answer.reason}`);
}

/**
 * One message per subject, so that a replayed letter replaces its older self; not `discard_new_per_subject`, which
 * would refuse that.
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

function findObstacle({ config, state }: StreamInfo, endpoint: DeadLetterEndpoint): string | null {
  const letters = `${endpoint.subject}.>`;
  const { subjects = [] } = config as Partial<StreamConfig>;
  if (!subjects.some((subject) => isWithin(letters, subject))) {
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
  const place = domain === null ? "" : ` of domain ${domain}`;
  return `Dead-letter stream ${stream}${place}: ${reason}`;
}
