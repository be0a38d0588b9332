// The schema of the whole config file: its types, defaults, checks, JSON Schema and documentation come from here.

import * as v from "valibot";
import { endpointGroupSchema, endpointSchema } from "./endpoint.ts";
import { entrypointSchema } from "./entrypoint.ts";
import {
  callbacksSchema,
  deliveryLogSchema,
  fleetSchema,
  hostSchema,
  logsSchema,
  shutdownSchema,
  stateSchema,
  telemetrySchema,
} from "./host.ts";
import { natsSchema } from "./nats.ts";
import { describeFound, list, object } from "./parts.ts";
import { systemSchema } from "./proxy.ts";
import { serverSchema } from "./server.ts";
import { subscriptionSchema } from "./subscription.ts";

export const configSchema = v.pipe(
  object({
    $schema: v.optional(
      v.pipe(
        v.string(({ input }) => `found ${describeFound(input)}, allowed: a URL or path`),
        v.description("JSON Schema of this file, for editors"),
      ),
    ),
    host: v.optional(hostSchema, {}),
    nats: v.optional(natsSchema, {}),
    fleet: v.optional(fleetSchema, {}),
    server: v.optional(serverSchema, {}),
    system: v.optional(systemSchema, {}),
    state: v.optional(stateSchema, {}),
    deliveryLog: v.optional(deliveryLogSchema, {}),
    telemetry: v.optional(telemetrySchema),
    shutdown: v.optional(shutdownSchema, {}),
    logs: v.optional(logsSchema, {}),
    callbacks: v.optional(callbacksSchema, {}),
    endpoints: list(endpointSchema, {
      description: "Where messages come from and where dead letters go",
      min: 1,
    }),
    endpointGroups: v.optional(
      list(endpointGroupSchema, { description: "Endpoints that are tried in order" }),
      [],
    ),
    entrypoints: list(entrypointSchema, { description: "How messages are pushed", min: 1 }),
    subscriptions: v.optional(
      list(subscriptionSchema, { description: "Who gets the messages", max: 10_000 }),
      [],
    ),
  }),
  v.title("Relay configuration"),
  v.description("relay.config.json"),
);

export type ConfigFile = v.InferOutput<typeof configSchema>;
export type Endpoint = ConfigFile["endpoints"][number];
export type Entrypoint = ConfigFile["entrypoints"][number];
export type SubscriptionEntry = ConfigFile["subscriptions"][number];
/** A subscription's settings, flat or nested. */
export type Settings = NonNullable<SubscriptionEntry["configuration"]["entrypointConfiguration"]>;
export type JwtProfile = Extract<Settings["auth"], { type: "jwtProfileOauth2" }>["jwtProfileOauth2"];
