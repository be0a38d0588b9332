// The schemas of the small top-level keys about this relay: `host`, `fleet`, `state`, `deliveryLog`, `telemetry` and others.

import * as v from "valibot";
import { LOG_LEVELS } from "#lib/logger.ts";
import { headersSchema } from "./callback.ts";
import { choice, describeFound, flag, integer, list, object, path, text } from "./parts.ts";
import { secret } from "./secret.ts";

const FLEET_PREFIX = /^(?=.{1,100}$)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/u;
const PREFIX_FORM = 'a NATS subject of letters, digits, "-", "_" and ".", 100 characters at most';
const HOST_NAME = /^[A-Za-z0-9._-]{1,128}$/u;

export const hostSchema = v.pipe(
  object({
    name: v.optional(
      v.pipe(
        text("Tells this relay from others: in logs, status, metrics, events, records and NATS", {
          pattern: HOST_NAME,
          allowed: '1 to 128 letters, digits, "-", "_" and "."',
        }),
        v.metadata({ fallback: "the name of the host" }),
      ),
    ),
  }),
  v.description("This host"),
);

export const fleetSchema = v.pipe(
  object({
    enabled: v.optional(
      flag("Serve the API over NATS: anyone who may publish to its subject is an operator"),
      false,
    ),
    prefix: v.optional(
      text("Its subjects begin with this: `<prefix>.<host>.api`", {
        pattern: FLEET_PREFIX,
        allowed: PREFIX_FORM,
      }),
      "relay.fleet",
    ),
  }),
  v.description("The relays of a NATS account, as one fleet"),
);

export const stateSchema = v.pipe(
  object({
    directory: v.optional(
      v.pipe(
        path("Journals and delivery log"),
        v.metadata({ fallback: "`$STATE_DIRECTORY`, else `.relay`" }),
      ),
    ),
    bucket: v.optional(
      text("JetStream KV bucket of subscription states and of subscriptions made by API", {
        pattern: /^[\w-]{1,128}$/u,
        allowed: '1 to 128 letters, digits, "-" and "_"',
      }),
      "relay",
    ),
    key: v.optional(
      secret("Signs what relays write to the bucket, and encrypts secrets in it: 32 bytes in base64"),
    ),
  }),
  v.description("What Relay remembers"),
);

export const deliveryLogSchema = v.pipe(
  object({
    maxAgeDays: v.optional(integer("Older records are deleted", { min: 1, max: 3650, unit: "days" }), 7),
    maxBytes: v.optional(
      integer("The oldest records are deleted beyond it", {
        min: 1_048_576,
        max: 1_099_511_627_776,
        unit: "bytes",
      }),
      268_435_456,
    ),
    publish: v.optional(
      v.pipe(
        object({
          subject: v.optional(
            text("Each record goes to `<subject>.<host>.<subscription>`, as a CloudEvent", {
              pattern: FLEET_PREFIX,
              allowed: PREFIX_FORM,
            }),
            "relay.deliveries",
          ),
        }),
        v.description("Publish the records to NATS too"),
      ),
    ),
  }),
  v.description("Bounds of the delivery log, and whether its records are published"),
);

const ratioMessage = (issue: { readonly input: unknown }) =>
  `found ${describeFound(issue.input)}, allowed: a number from 0 to 1`;

export const telemetrySchema = v.pipe(
  object({
    endpoint: text("Collector that takes OTLP over HTTP; Relay adds `/v1/traces`", {
      pattern: /^https?:\/\/\S{1,2048}$/iu,
      allowed: "a URL that begins with http:// or https://, such as http://127.0.0.1:4318",
    }),
    headers: v.optional(headersSchema, []),
    sampleRatio: v.optional(
      v.pipe(
        v.number(ratioMessage),
        v.minValue(0, ratioMessage),
        v.maxValue(1, ratioMessage),
        v.description("Share of the messages that are traced, if they have no `traceparent` that decides it"),
      ),
      0.01,
    ),
  }),
  v.description("Send traces to a collector of OpenTelemetry"),
);

export const shutdownSchema = v.pipe(
  object({
    graceSeconds: v.optional(integer("How long a drain waits", { min: 0, max: 600, unit: "seconds" }), 20),
  }),
  v.description("How Relay ends"),
);

export const logsSchema = v.pipe(
  object({
    level: v.optional(choice("The least level that is written", LOG_LEVELS), "info"),
    format: v.optional(
      v.pipe(
        choice("How a line is written", ["json", "text"]),
        v.metadata({ fallback: "`text` on a terminal, else `json`" }),
      ),
    ),
  }),
  v.description("The process log, on standard output"),
);

/** Makes a `host.name` of the system's host name: characters that are not allowed become "-". */
export function toHostName(systemName: string): string {
  const name = systemName.replaceAll(/[^A-Za-z0-9._-]/gu, "-").slice(0, 128);
  return name === "" ? "localhost" : name;
}

const range = text("An address or a range", {
  pattern: /^[0-9A-Fa-f:.]{2,45}(?:\/\d{1,3})?$/u,
  allowed: "an IP address or a range such as 10.0.0.0/8",
});

export const callbacksSchema = v.pipe(
  object({
    deny: v.optional(
      v.pipe(
        list(range, { description: "Ranges that no callback may be in" }),
        v.metadata({ fallback: "the metadata services" }),
      ),
    ),
    allow: v.optional(list(range, { description: "Ranges that callbacks may be in" }), []),
  }),
  v.description("Where callbacks may go: the most specific matching range decides, a tie denies"),
);
