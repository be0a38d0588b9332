// Creates or updates a durable consumer (CONSUMER.CREATE), checks the answer, and words its errors.

import { RelayError } from "#lib/errors.ts";

import { type ConsumerInfo } from "#nats/answers.ts";
import { type ApiAnswer, isForbidden, requestApi } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import type { ConsumerSettings } from "./config.ts";
import { differences, fixedDifferences } from "./fields.ts";
import { consumerAnswer, toConsumerAnswer } from "./info.ts";

/** Servers before 2.10 ignore it. */
type ConsumerAction = "create" | "update";

/** Puts a single filter into the request's subject, so that permissions can be limited to it (NATS ADR-31). */
export async function requestPut(
  connection: Connection,
  put: { settings: ConsumerSettings; config: { filter_subject?: string }; action: ConsumerAction },
): Promise<ApiAnswer<ConsumerInfo>> {
  const { domain, stream } = put.settings.source;
  const { filter_subject: filter } = put.config;
  const call = `CONSUMER.CREATE.${stream}.${put.settings.durable}`;
  const answer = await requestApi(connection, {
    domain,
    call: filter === undefined ? call : `${call}.${filter}`,
    body: { stream_name: stream, config: put.config, action: put.action },
    schema: consumerAnswer,
  });
  return toConsumerAnswer(answer);
}

/** Throws if fields are missing in the answer: a server drops unknown fields silently. */
export function checkEcho(info: ConsumerInfo, settings: ConsumerSettings): void {
  const missing = [...fixedDifferences(info.config, settings), ...differences(info.config, settings)];
  if (missing.length > 0) throw refusal(settings, `the server ignored its ${missing.join(", ")}`);
}

export function toError(
  settings: ConsumerSettings,
  answer: Exclude<ApiAnswer<unknown>, { kind: "ok" }>,
): RelayError {
  if (answer.kind === "refused" || isForbidden(answer)) return refusal(settings, answer.reason);
  return new RelayError("nats-unavailable", `${cannot(settings)}: ${answer.reason}`);
}

export function refusal(settings: ConsumerSettings, reason: string): RelayError {
  return new RelayError("consumer-refused", `${cannot(settings)}: ${reason}`);
}

export function cannot({ source, durable }: ConsumerSettings): string {
  return `Cannot consume ${source.stream} as ${durable}`;
}
