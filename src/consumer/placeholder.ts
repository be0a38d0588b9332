// A placeholder consumer stands in for a durable one while that is re-created: a stream with interest retention drops messages
// that no consumer waits for. It is also a lock: only the relay that created it may delete the durable consumer meanwhile.
//
//   create placeholder --> delete durable --> create durable --> delete placeholder
//
// A relay that is killed in between leaves the placeholder. The next relay that finds it waits until its creator must be done,
// creates a missing durable at the position in the placeholder's description, and deletes the placeholder. Nobody pulls from it.

import type { DeliverPolicy } from "#delivery/subscription.ts";

import type { ConsumerInfo } from "#nats/answers.ts";
import { API_ERRORS, type ApiAnswer } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import {
  type ConsumerSettings,
  describePolicy,
  parsePolicy,
  toConsumerConfig,
  type WantedConfig,
} from "./config.ts";
import { type ConsumerRef, requestDelete } from "./info.ts";
import { requestPut } from "./put.ts";

/** Subscription ids contain no `~`. */
const SUFFIX = "~placeholder";
const NOBODY = "~nobody";
const START_IN_DESCRIPTION = /\(place: (.+)\)$/;
const MAX_NONCE = 1_000_000_000;

/** The relay that created it deletes the durable within this time, or not at all. */
export const PLACEHOLDER_HOLDS_MS = 2500;
/** The relay that created it is done by then. */
export const PLACEHOLDER_ENDS_MS = 5000;

export function placeholderOf(durable: string): string {
  return durable + SUFFIX;
}

export function isPlaceholder(consumer: string): boolean {
  return consumer.endsWith(SUFFIX);
}

/** Waits for the same messages as the durable, from the first one on. `start`: where the durable will start. */
export function requestPlaceholder(
  connection: Connection,
  settings: ConsumerSettings,
  start: DeliverPolicy,
): Promise<ApiAnswer<ConsumerInfo>> {
  const own = { ...settings, durable: placeholderOf(settings.durable), acks: true };
  const config: WantedConfig = {
    ...toConsumerConfig(own, { kind: "remaining" }),
    description: `Stands in for ${settings.durable}, which is being made anew (place: ${describePolicy(start)})`,
    deliver_policy: "by_start_time",
    opt_start_time: uniqueTime(),
  };
  return requestPut(connection, { settings: own, config, action: "create" });
}

/** A time before any message. No server updates it in place, so only one of two relays can create a placeholder. */
function uniqueTime(): string {
  const nanos = Math.floor(Math.random() * MAX_NONCE);
  return `1970-01-01T00:00:00.${String(nanos).padStart(9, "0")}Z`;
}

/** True if another relay has a placeholder. */
export function isPlaceholderTaken({ kind, ...answer }: ApiAnswer<unknown>): boolean {
  if (kind !== "refused" || !("code" in answer)) return false;
  if (answer.code === API_ERRORS.consumerExists) return true;
  return answer.code === API_ERRORS.consumerRefused && answer.reason.includes("can not be updated");
}

/** Where the durable will start; null: the description does not say. */
export function startOfPlaceholder({ config }: ConsumerInfo): DeliverPolicy | null {
  return parsePolicy(START_IN_DESCRIPTION.exec(config.description ?? "")?.[1] ?? "");
}

/** Checks the permission to delete consumers, with a name that nobody has: needed before a placeholder is created. */
export function requestNothingDeleted(connection: Connection, ref: ConsumerRef): Promise<ApiAnswer<unknown>> {
  return requestDelete(connection, { ...ref, durable: ref.durable + NOBODY });
}

/** If this fails, the next relay that finds the placeholder deletes it. */
export function removePlaceholder(connection: Connection, ref: ConsumerRef): Promise<ApiAnswer<unknown>> {
  return requestDelete(connection, { ...ref, durable: placeholderOf(ref.durable) });
}
