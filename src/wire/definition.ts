// The config and a subscription's definition as the API takes and shows them: the schemas of the file, by other names.

import * as v from "valibot";
import { configSchema } from "#schema/file.ts";
import {
  shownSubscriptionSchema,
  subscriptionOfEntrypointSchema,
  subscriptionSchema,
} from "#schema/subscription.ts";
import { component, exampleOf } from "./component.ts";
import { subscriptionViewSchema } from "./subscription.ts";

export const configViewSchema = component("Config", configSchema, {
  nats: { servers: ["nats://127.0.0.1:4222"] },
  endpoints: [{ name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } }],
  entrypoints: [{ type: "webhook", endpoint: "orders", qos: "AUTO" }],
  subscriptions: [
    {
      id: "billing",
      configuration: { entrypointId: "webhook", callbackUrl: "https://billing.example/orders" },
    },
  ],
});

/** As it is written, without secrets. */
const definitionSchema = component("SubscriptionDefinition", shownSubscriptionSchema, {
  id: "billing",
  application: "shop",
  configuration: {
    entrypointId: "webhook",
    channel: "orders.>",
    callbackUrl: "https://billing.example/orders",
  },
});

export const subscriptionDetailSchema = component(
  "SubscriptionDetail",
  v.strictObject({ ...subscriptionViewSchema.entries, definition: definitionSchema }),
  { ...exampleOf(subscriptionViewSchema), definition: exampleOf(definitionSchema) },
);

/** The body that makes or replaces one. */
export const subscriptionBodySchema = component(
  "SubscriptionBody",
  { ...subscriptionSchema },
  exampleOf(definitionSchema),
);

/** Below a context path: the address names the entrypoint already. */
export const subscriptionBodyOfEntrypointSchema = component(
  "SubscriptionBodyOfEntrypoint",
  { ...subscriptionOfEntrypointSchema },
  { id: "billing", configuration: { callbackUrl: "https://billing.example/orders" } },
);
