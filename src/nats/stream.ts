// Reads streams (STREAM.INFO, STREAM.NAMES): info, last sequence, replicas, and the name that was probably meant.

import { RelayError } from "#lib/errors.ts";

import { nearestOf } from "#schema/nearest.ts";
import { type StreamInfo, streamInfo, streamNames } from "./answers.ts";
import { API_ERRORS, type ApiAnswer, isForbidden, requestApi } from "./api.ts";
import type { Connection } from "./connection.ts";

export interface StreamRef {
  readonly domain: string | null;
  readonly stream: string;
}

export function requestStreamInfo(
  connection: Connection,
  { domain, stream }: StreamRef,
  options: { signal?: AbortSignal; timeoutMs?: number } = {},
): Promise<ApiAnswer<StreamInfo>> {
  return requestApi(connection, { domain, call: `STREAM.INFO.${stream}`, schema: streamInfo, ...options });
}

/** For a missing stream: suggests the one that was probably meant, of those that the account may see. */
export async function adviseStream(connection: Connection, { domain, stream }: StreamRef): Promise<string> {
  const answer = await requestApi(connection, {
    domain,
    call: "STREAM.NAMES",
    body: {},
    schema: streamNames,
  });
  const names = answer.kind === "ok" ? (answer.value.streams ?? []) : [];
  const known = names.filter((name) => !/^(?:KV|OBJ|MQTT)_/u.test(name));
  const nearest = nearestOf(stream, known);
  if (nearest !== null) return `did you mean "${nearest}"?`;
  const listed = known.slice(0, MAX_LISTED).join(", ");
  return `create it, or name another one${listed === "" ? "" : ` (existing: ${listed})`}`;
}

const MAX_LISTED = 10;

/** null: stream not found. Throws RelayError `nats-unavailable` if the server does not answer. */
export async function readStream(connection: Connection, ref: StreamRef): Promise<StreamInfo | null> {
  const answer = await requestStreamInfo(connection, ref);
  if (answer.kind === "ok") return answer.value;
  if (answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound) return null;
  throw new RelayError("nats-unavailable", `Cannot read stream ${ref.stream}: ${answer.reason}`);
}

/**
 * The largest number of replicas of these streams; 1: none exists yet that this account may see. Throws RelayError
 * `nats-unavailable` if the server does not answer.
 */
export async function readMostReplicas(
  connection: Connection,
  streams: ReadonlySet<string>,
): Promise<number> {
  const replicas = [...streams].map(async (stream) => {
    const answer = await requestStreamInfo(connection, { domain: null, stream });
    if (answer.kind === "ok") return answer.value.config.num_replicas;
    if (answer.kind === "refused" || isForbidden(answer)) return 1;
    throw new RelayError("nats-unavailable", `Cannot read stream ${stream}: ${answer.reason}`);
  });
  return Math.max(1, ...(await Promise.all(replicas)));
}

/** Throws RelayError `nats-unavailable` if the server does not answer, `unavailable` if the stream does not exist. */
export async function readLastSequence(connection: Connection, ref: StreamRef): Promise<number> {
  const info = await readStream(connection, ref);
  if (info === null)
    throw new RelayError("unavailable", `Cannot read stream ${ref.stream}: stream not found`);
  return info.state.last_seq;
}

/** True for servers since 2.10, which send `ts`. The version of the connected server may differ from the stream's server. */
export function takesSeveralFilters(info: StreamInfo): boolean {
  return info.ts !== undefined;
}
