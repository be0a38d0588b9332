// Reads, lists and deletes consumers (CONSUMER.INFO, LIST, DELETE), and computes their ack floor.

import * as v from "valibot";

import { RelayError } from "#lib/errors.ts";

import { type ConsumerInfo, consumerInfo, consumerList, deletion, noConsumerInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import type { StreamRef } from "#nats/stream.ts";

export interface ConsumerRef extends StreamRef {
  readonly durable: string;
}

export interface ConsumerReading {
  readonly consumerCreated: string;
  readonly config: ConsumerInfo["config"];
  /** See `floorOf`. */
  readonly ackFloor: number | null;
  readonly deliveredSequence: number;
  /** Number of its last delivery. */
  readonly consumerSequence: number;
  /** Not delivered yet. */
  readonly pending: number;
  readonly ackPending: number;
  readonly redelivered: number;
  /** Pull requests that wait on the server. */
  readonly waiting: number;
}

const FLUSH_MS = 1000;
/** Servers 2.9 and 2.10 shift a consumer's `created` by up to 0.2 ms when they restart. */
const CREATED_TOLERANCE_MS = 1000;
/** Of 256 consumers each. */
const MAX_PAGES = 64;
const OVERTAKEN_ERRORS: ReadonlySet<number> = new Set([
  API_ERRORS.consumerNotFound,
  API_ERRORS.consumerRefused,
  API_ERRORS.consumerNameInUse,
  API_ERRORS.consumerExists,
  API_ERRORS.consumerMissing,
]);

/** null: no such consumer or stream. Throws RelayError `nats-unavailable` if the server does not answer. */
export async function readConsumer(
  connection: Connection,
  ref: ConsumerRef,
): Promise<ConsumerReading | null> {
  const info = unwrap(await requestConsumerInfo(connection, ref), ref);
  return info === null ? null : toReading(info);
}

export function toReading(info: ConsumerInfo): ConsumerReading {
  return {
    consumerCreated: info.created,
    config: info.config,
    // Without a delivery, its start is only known together with its stream.
    ackFloor: info.delivered.consumer_seq === 0 && info.num_pending === 0 ? null : floorOf(info, 0),
    deliveredSequence: info.delivered.stream_seq,
    consumerSequence: info.delivered.consumer_seq,
    pending: info.num_pending,
    ackPending: info.num_ack_pending,
    redelivered: info.num_redelivered,
    waiting: info.num_waiting,
  };
}

/**
 * The sequence up to which everything is done or was never wanted; without acks: delivered. Before its first ack a consumer
 * reports 0, wherever it started. Then its start counts; or its last delivery, if no ack is pending; or `lastSequence`, which
 * the stream had before `info` was read, if nothing was left to deliver. 0: the very start; null: unknown.
 */
export function floorOf(info: ConsumerInfo, lastSequence: number): number | null {
  const { config, delivered } = info;
  const isAllAcked = config.ack_policy === "none" || info.num_ack_pending === 0;
  const reported = isAllAcked ? delivered.stream_seq : info.ack_floor.stream_seq;
  const start = Math.max(0, (config.opt_start_seq ?? 1) - 1);
  const isUntouched = delivered.consumer_seq === 0 && info.num_pending === 0;
  const floor = Math.max(reported, start, isUntouched ? lastSequence : 0);
  return floor > 0 || isAllAcked || startsAtSequence(config) ? floor : null;
}

function startsAtSequence({ deliver_policy: policy }: ConsumerInfo["config"]): boolean {
  return policy === "all" || policy === "by_start_sequence";
}

/** Compares two consumers by their creation times, as the server wrote them. */
export function isSameConsumer(left: string, right: string): boolean {
  return Math.abs(Date.parse(left) - Date.parse(right)) <= CREATED_TOLERANCE_MS;
}

/** True only if the server says that it does not exist. Never rejects. */
async function isConsumerGone(connection: Connection, ref: ConsumerRef): Promise<boolean> {
  const answer = await requestConsumerInfo(connection, ref);
  return answer.kind === "refused" && isMissing(answer.code);
}

/** True if it existed. Throws RelayError `nats-unavailable` if it may still exist. */
export async function deleteConsumer(connection: Connection, ref: ConsumerRef): Promise<boolean> {
  const answer = await requestDelete(connection, ref);
  if (answer.kind === "ok") return answer.value.wasThere;
  const { durable, stream } = ref;
  throw new RelayError(
    "nats-unavailable",
    `Cannot delete consumer ${durable} of ${stream}: ${answer.reason}`,
  );
}

/**
 * nats-server 2.9 may delete a consumer and still answer with a file error. So this is refused only if a consumer is there
 * afterwards, which may be a new one that somebody created meanwhile.
 */
export async function requestDelete(
  connection: Connection,
  ref: ConsumerRef,
): Promise<ApiAnswer<{ readonly wasThere: boolean }>> {
  const { domain, stream, durable } = ref;
  await connection.flush(FLUSH_MS);
  const call = `CONSUMER.DELETE.${stream}.${durable}`;
  const answer = await requestApi(connection, { domain, call, schema: deletion });
  if (answer.kind === "unavailable") return answer;
  const wasThere = answer.kind === "ok" || !isMissing(answer.code);
  const isLeft = answer.kind === "refused" && wasThere && !(await isConsumerGone(connection, ref));
  return isLeft ? answer : { kind: "ok", value: { wasThere } };
}

/** True if another client may have created, changed or deleted it meanwhile: take a new snapshot. */
export function wasOvertaken(answer: ApiAnswer<unknown>): boolean {
  return answer.kind === "refused" && OVERTAKEN_ERRORS.has(answer.code);
}

export async function requestConsumerInfo(
  connection: Connection,
  { domain, stream, durable }: ConsumerRef,
): Promise<ApiAnswer<ConsumerInfo>> {
  const call = `CONSUMER.INFO.${stream}.${durable}`;
  return toConsumerAnswer(await requestApi(connection, { domain, call, schema: consumerAnswer }));
}

/** Answer of a request that reads, creates or updates a consumer. null: somebody deleted it meanwhile. */
export const consumerAnswer = v.union([consumerInfo, noConsumerInfo]);

export function toConsumerAnswer(answer: ApiAnswer<ConsumerInfo | null>): ApiAnswer<ConsumerInfo> {
  if (answer.kind !== "ok") return answer;
  if (answer.value !== null) return { kind: "ok", value: answer.value };
  return { kind: "refused", code: API_ERRORS.consumerNotFound, reason: "another client deleted it" };
}

/** All consumers of a stream. Throws RelayError `stream-missing`, or `nats-unavailable` if they cannot be listed. */
export async function listConsumers(
  connection: Connection,
  { domain, stream }: StreamRef,
): Promise<readonly ConsumerInfo[]> {
  const consumers: ConsumerInfo[] = [];
  for (let page = 1; page <= MAX_PAGES; page += 1) {
    const answer = await requestApi(connection, {
      domain,
      call: `CONSUMER.LIST.${stream}`,
      body: { offset: consumers.length },
      schema: consumerList,
    });
    if (answer.kind !== "ok") {
      const isGone = answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound;
      const code = isGone ? "stream-missing" : "nats-unavailable";
      throw new RelayError(code, `Cannot list the consumers of ${stream}: ${answer.reason}`);
    }
    const found = answer.value.consumers ?? [];
    consumers.push(...found);
    if (found.length === 0 || consumers.length >= answer.value.total) break;
  }
  return consumers;
}

function unwrap<T>(answer: ApiAnswer<T>, { stream, durable }: ConsumerRef): T | null {
  if (answer.kind === "ok") return answer.value;
  if (answer.kind === "refused" && isMissing(answer.code)) return null;
  throw new RelayError("nats-unavailable", `Cannot read consumer ${durable} of ${stream}: ${answer.reason}`);
}

function isMissing(code: number): boolean {
  return code === API_ERRORS.consumerNotFound || code === API_ERRORS.streamNotFound;
}
