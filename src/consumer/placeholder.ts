// A placeholder stands in for a durable consumer while that is deleted and made anew: a stream with interest retention drops
// what no consumer waits for. It is a lock too: only the relay that made it may delete the durable meanwhile.
//
//   placeholder made --> durable deleted --> durable made anew --> placeholder deleted
//
// A relay that is killed in between leaves the placeholder. Whoever looks next waits until its maker must have come to an end,
// makes the durable where the placeholder says if it is missing, and deletes the placeholder. Nobody pulls from it.

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

/** No id of a subscription has a `~`. */
const SUFFIX = "~placeholder";
const NOBODY = "~nobody";
const PLACE = /\(place: (.+)\)$/;
const MAX_NONCE = 1_000_000_000;

/** Whoever made it deletes the durable by then, or not at all. */
export const PLACEHOLDER_HOLDS_MS = 2500;
/** Whoever made it has come to an end by then. */
export const PLACEHOLDER_ENDS_MS = 5000;

export function placeholderOf(durable: string): string {
  return durable + SUFFIX;
}

export function isPlaceholder(consumer: string): boolean {
  return consumer.endsWith(SUFFIX);
}

/** It waits for whatever the durable will wait for, from the first message on; `place`: where that is to start. */
export function requestPlaceholder(
  connection: Connection,
  settings: ConsumerSettings,
  place: DeliverPolicy,
): Promise<ApiAnswer<ConsumerInfo>> {
  const own = { ...settings, durable: placeholderOf(settings.durable), acks: true };
  const config: WantedConfig = {
    ...toConsumerConfig(own, { kind: "remaining" }),
    description: `Stands in for ${settings.durable}, which is being made anew (place: ${describePolicy(place)})`,
    deliver_policy: "by_start_time",
    opt_start_time: uniqueTime(),
  };
  return requestPut(connection, { settings: own, config, action: "create" });
}

/** Before any message. No server changes it in place, so that of two relays only one makes a placeholder. */
function uniqueTime(): string {
  const nanos = Math.floor(Math.random() * MAX_NONCE);
  return `1970-01-01T00:00:00.${String(nanos).padStart(9, "0")}Z`;
}

/** Another relay has one. */
export function isPlaceTaken({ kind, ...answer }: ApiAnswer<unknown>): boolean {
  if (kind !== "refused" || !("code" in answer)) return false;
  if (answer.code === API_ERRORS.consumerExists) return true;
  return answer.code === API_ERRORS.consumerRefused && answer.reason.includes("can not be updated");
}

/** null: it does not say. */
export function placeOfPlaceholder({ config }: ConsumerInfo): DeliverPolicy | null {
  return parsePolicy(PLACE.exec(config.description ?? "")?.[1] ?? "");
}

/** Whether this relay may delete one, which it must be able to before it makes one; asked of a name that nobody has. */
export function requestNothingDeleted(connection: Connection, ref: ConsumerRef): Promise<ApiAnswer<unknown>> {
  return requestDelete(connection, { ...ref, durable: ref.durable + NOBODY });
}

/** One that cannot be deleted now is deleted by whoever looks next. */
export function removePlaceholder(connection: Connection, ref: ConsumerRef): Promise<ApiAnswer<unknown>> {
  return requestDelete(connection, { ...ref, durable: placeholderOf(ref.durable) });
}
