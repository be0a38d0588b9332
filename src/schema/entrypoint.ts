// The schema of `entrypoints`: how messages are pushed.

import * as v from "valibot";
import type { Qos } from "#delivery/policy.ts";
import { callbackEntries, resumeSchema } from "./callback.ts";
import {
  absentAsNull,
  choice,
  choiceMessage,
  flag,
  id,
  integer,
  name,
  object,
  text,
  variantMessage,
} from "./parts.ts";
import { proxySchema } from "./proxy.ts";
import { loggingSchema, samplingSchema } from "./record.ts";

export const ENTRYPOINT_TYPES = ["webhook", "webhook-advanced"] as const;

const QOS = ["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const satisfies readonly Qos[];

const qos = v.pipe(
  v.picklist([...QOS, "none", "auto", "at-most-once", "at-least-once"], choiceMessage(QOS)),
  v.description("`NONE`, `AUTO`, `AT_MOST_ONCE` or `AT_LEAST_ONCE`; also spelt `at-least-once`"),
  v.transform((input) => input.toUpperCase().replaceAll("-", "_") as Qos),
);

const timeout = (description: string) => integer(description, { min: 1, max: 600_000, unit: "milliseconds" });

const http = v.pipe(
  object({
    connectTimeout: v.optional(timeout("Time to connect, in milliseconds"), 3000),
    readTimeout: v.optional(
      timeout("Time for the whole exchange, connecting and response included, in milliseconds"),
      10_000,
    ),
    idleTimeout: v.optional(timeout("How long an unused connection is kept, in milliseconds"), 60_000),
    maxConcurrentConnections: v.optional(
      integer(
        "Requests at once, for each subscription; 1 under `AT_LEAST_ONCE` and `AT_MOST_ONCE` without `ordering.key`",
        {
          min: 1,
          max: 20,
        },
      ),
      5,
    ),
  }),
  v.description("The HTTP client"),
);

const replay = v.pipe(
  v.variant(
    "strategy",
    [
      object({ strategy: v.literal("MANUAL") }),
      object({
        strategy: v.literal("SCHEDULED"),
        intervalSeconds: integer("Time between two replays", { min: 1, max: 86_400, unit: "seconds" }),
        maxReplays: integer("How often a letter is replayed", { min: 1, max: 1000 }),
      }),
    ],
    variantMessage,
  ),
  v.description(
    "How dead letters are replayed: `MANUAL`, or `SCHEDULED` by itself; not under `AT_MOST_ONCE`",
  ),
);

const dlq = v.pipe(
  object({
    endpoint: name("Endpoint or endpoint group that takes dead letters"),
    replay: v.optional(replay, { strategy: "MANUAL" }),
  }),
  v.description("Where rejected messages go"),
);

const configuration = v.pipe(
  object({
    http: v.optional(http, {}),
    proxy: v.optional(proxySchema, {}),
    interruptConsumptionOnServerError: v.optional(
      flag("A status of 500 or above interrupts the subscription"),
      true,
    ),
    interruptConsumptionOnException: v.optional(
      flag("A call without an answer interrupts the subscription"),
      true,
    ),
    resume: v.optional(resumeSchema, { strategy: "MANUAL" }),
    ...callbackEntries,
    logging: v.optional(loggingSchema, {}),
    sampling: v.optional(samplingSchema, { type: "WINDOWED_COUNT", value: "10/PT1S" }),
  }),
  v.description(
    "How callbacks are called; `callbackUrl`, `method`, `headers`, `retry`, `rateLimit` and `ordering` are defaults for subscriptions",
  ),
);

export const entrypointSchema = v.pipe(
  object({
    type: choice("`webhook` or `webhook-advanced`: two names of the same thing", ENTRYPOINT_TYPES),
    id: v.optional(
      v.pipe(
        id("What a subscription's `entrypointId` names; unique"),
        v.metadata({ fallback: "the `type`" }),
      ),
    ),
    endpoint: v.optional(
      v.pipe(name("Endpoint to read from"), v.metadata({ fallback: "the only endpoint with a `consumer`" })),
    ),
    contextPath: v.optional(
      v.pipe(
        text("Where its consumers' API is mounted", {
          pattern: /^(?:\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$/u,
          allowed: "a path such as /orders",
        }),
        v.metadata({ fallback: "`/<id>`" }),
      ),
    ),
    qos: v.optional(qos, "AUTO"),
    shareHeaders: v.optional(
      flag(
        "Subscriptions made by API get `configuration.headers` too: anyone who makes one can then read them",
      ),
      false,
    ),
    allowExpressions: v.optional(
      flag(
        "Subscriptions made by API may have expressions (`filter`, `transform`, `cloudEvents`) of their own",
      ),
      false,
    ),
    dlq: v.optional(absentAsNull(dlq)),
    configuration: v.optional(configuration, {}),
  }),
  v.description("How messages of one endpoint are pushed"),
);
