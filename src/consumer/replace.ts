// Re-creates a durable consumer at another position without losing a message, under the protection of a placeholder.
//
// The placeholder gets the durable's settings, so the server refuses bad ones before the durable is deleted. A work queue allows
// no second consumer and loses nothing without one: there the durable itself is updated first, as a rehearsal.

import type { DeliverPolicy } from "#delivery/subscription.ts";
import { RelayError } from "#lib/errors.ts";

import type { ConsumerInfo, StreamInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer, isForbidden } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { type ConsumerSettings, keptOf, refOf, toMovedConfig, toStart, toUpdatedConfig } from "./config.ts";
import { requestConsumerInfo, requestDelete, wasOvertaken } from "./info.ts";
import {
  isPlaceholderTaken,
  PLACEHOLDER_HOLDS_MS,
  removePlaceholder,
  requestNothingDeleted,
  requestPlaceholder,
} from "./placeholder.ts";
import { cannot, checkEcho, refusal, requestPut, toError } from "./put.ts";

interface Replacement {
  readonly stream: StreamInfo;
  /** The existing consumer. */
  readonly consumer: ConsumerInfo;
  readonly start: DeliverPolicy;
  /** Where another relay re-creates it after an interruption: `start`, unless that changes all the time. */
  readonly fallback: DeliverPolicy;
}

type Replaced =
  | { readonly kind: "done"; readonly consumer: ConsumerInfo }
  /** Another relay is replacing it, or has: nothing was done. */
  | { readonly kind: "overtaken" }
  /** The server refused; nothing was done. */
  | { readonly kind: "refused"; readonly answer: Failure };

type Failure = Exclude<ApiAnswer<unknown>, { kind: "ok" }>;

/** Throws RelayError `nats-unavailable` if the outcome is unknown; nothing is lost then. */
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
    : await requestPlaceholder(connection, settings, replacement.fallback);
  if (isPlaceholderTaken(prepared)) return { kind: "overtaken" };
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

/** A stream with limits retention keeps its messages, so it needs no placeholder if its consumer limit is reached. */
function isNeedless(answer: Failure, { config: { retention } }: StreamInfo): boolean {
  return (
    retention === "limits" && answer.kind === "refused" && answer.code === API_ERRORS.consumerLimitReached
  );
}

/** Has the server check settings, limits and permissions. */
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
  { consumer, start, fallback }: Replacement,
): Promise<Replaced> {
  const config = { ...toMovedConfig(settings, start), ...keptOf(consumer.config) };
  const answer = await requestPut(connection, { settings, config, action: "create" });
  if (answer.kind === "unavailable") {
    // Leave the placeholder: it says where to continue.
    throw new RelayError("nats-unavailable", `${cannot(settings)}: ${answer.reason}`);
  }
  if (answer.kind === "ok") {
    await removePlaceholder(connection, refOf(settings));
    checkEcho(answer.value, settings);
    return { kind: "done", consumer: answer.value };
  }
  // Put the former consumer back: better than none. Another relay may have created one meanwhile.
  const restored = await restore(connection, settings, { consumer, fallback });
  if (restored.kind !== "ok" && !wasOvertaken(restored)) throw refusal(settings, answer.reason);
  await removePlaceholder(connection, refOf(settings));
  return restored.kind === "ok" ? { kind: "refused", answer } : { kind: "overtaken" };
}

function restore(
  connection: Connection,
  settings: ConsumerSettings,
  { consumer, fallback }: Pick<Replacement, "consumer" | "fallback">,
): Promise<ApiAnswer<ConsumerInfo>> {
  const {
    deliver_policy: _policy,
    opt_start_seq: _sequence,
    opt_start_time: _time,
    ...kept
  } = consumer.config;
  const config = { ...kept, ...toStart({ kind: "at", policy: fallback }, fallback) };
  return requestPut(connection, { settings, config, action: "create" });
}
