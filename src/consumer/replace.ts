// A durable consumer is made anew at another place, in an order of steps that leaves in the stream whatever waits for it.
//
// What the server would refuse is refused before the durable is touched: the placeholder is made with its settings. On a work
// queue no second consumer can stand in, and nothing is lost without one; there the durable itself is updated first.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";

import type { ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, isForbidden } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, keptOf, refOf, toMovedConfig, toStart, toUpdatedConfig } from "./config.ts";
import { requestConsumerInfo, requestDelete, wasOvertaken } from "./info.ts";
import {
  isPlaceTaken,
  PLACEHOLDER_HOLDS_MS,
  removePlaceholder,
  requestNothingDeleted,
  requestPlaceholder,
} from "./placeholder.ts";
import { cannot, checkEcho, refusal, requestPut, toError } from "./put.ts";

interface Replacement {
  readonly stream: StreamInfo;
  /** The one that is there. */
  readonly consumer: ConsumerInfo;
  readonly start: DeliverPolicy;
  /** Where whoever finds it half done is to make it: `start`, unless that is another place every moment. */
  readonly place: DeliverPolicy;
}

type Replaced =
  | { readonly kind: "done"; readonly consumer: ConsumerInfo }
  /** Another relay is at it, or has been: nothing was done. */
  | { readonly kind: "overtaken" }
  /** The server says why; nothing was done. */
  | { readonly kind: "refused"; readonly answer: Failure };

type Failure = Exclude<ApiAnswer<unknown>, { kind: "ok" }>;

/** Throws RelayError `nats-unavailable`: whether it was done is not known, and nothing is lost. */
export async function replaceConsumer(
  connection: Connection,
  settings: ConsumerSettings,
  replacement: Replacement,
): Promise<Replaced> {
  const { stream, consumer } = replacement;
  const ref = refOf(settings);
  const allowed = await requestNothingDeleted(connection, ref);
  if (allowed.kind !== "ok") return { kind: "refused", answer: allowed };
  const startedAt = performance.now();
  const isQueue = stream.config.retention === "workqueue";
  const prepared = isQueue
    ? await rehearse(connection, settings, consumer)
    : await requestPlaceholder(connection, settings, replacement.place);
  if (isPlaceTaken(prepared)) return { kind: "overtaken" };
  if (prepared.kind !== "ok" && !isNeedless(prepared, stream)) return { kind: "refused", answer: prepared };
  const isSame = await isStillThere(connection, settings, consumer);
  if (!isSame || performance.now() - startedAt > PLACEHOLDER_HOLDS_MS) {
    await removePlaceholder(connection, refOf(settings));
    return { kind: "overtaken" };
  }
  const deleted = await requestDelete(connection, ref);
  if (deleted.kind === "ok") return makeAgain(connection, settings, replacement);
  if (deleted.kind === "unavailable" && !isForbidden(deleted)) throw toError(settings, deleted);
  await removePlaceholder(connection, refOf(settings));
  return deleted.kind === "refused" ? { kind: "overtaken" } : { kind: "refused", answer: deleted };
}

/** A stream that keeps its messages by itself is no worse off where it takes no consumer more. */
function isNeedless(answer: Failure, { config: { retention } }: StreamInfo): boolean {
  return (
    retention === "limits" && answer.kind === "refused" && answer.code === API_ERRORS.consumerLimitReached
  );
}

/** What the server says of the settings, of the limits, and of the permission to make it. */
function rehearse(
  connection: Connection,
  settings: ConsumerSettings,
  { config }: ConsumerInfo,
): Promise<ApiAnswer<ConsumerInfo>> {
  const updated = { ...toUpdatedConfig(config, settings), ack_policy: config.ack_policy };
  return requestPut(connection, { settings, config: updated, action: "update" });
}

async function isStillThere(
  connection: Connection,
  settings: ConsumerSettings,
  consumer: ConsumerInfo,
): Promise<boolean> {
  const answer = await requestConsumerInfo(connection, refOf(settings));
  return answer.kind === "ok" && answer.value.created === consumer.created;
}

async function makeAgain(
  connection: Connection,
  settings: ConsumerSettings,
  { consumer, start, place }: Replacement,
): Promise<Replaced> {
  const config = { ...toMovedConfig(settings, start), ...keptOf(consumer.config) };
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "unavailable") {
    // The placeholder stays: it says where to go on.
    throw new RelayError("nats-unavailable", `${cannot(settings)}: ${answer.reason}`);
  }
  if (answer.kind === "ok") {
    await removePlaceholder(connection, refOf(settings));
    checkEcho(answer.value, settings);
    return { kind: "done", consumer: answer.value };
  }
  // Somebody else may have made one; else the one before is better than none.
  const restored = await restore(connection, settings, { consumer, place });
  if (restored.kind !== "ok" && !wasOvertaken(restored)) throw refusal(settings, answer.reason);
  await removePlaceholder(connection, refOf(settings));
  return restored.kind === "ok" ? { kind: "refused", answer } : { kind: "overtaken" };
}

function restore(
  connection: Connection,
  settings: ConsumerSettings,
  { consumer, place }: Pick<Replacement, "consumer" | "place">,
): Promise<ApiAnswer<ConsumerInfo>> {
  const {
    deliver_policy: _policy,
    opt_start_seq: _sequence,
    opt_start_time: _time,
    ...kept
  } = consumer.config;
  const config = { ...kept, ...toStart({ kind: "at", policy: place }, place) };
  return requestPut(connection, { settings, config, action: "create" });
}
