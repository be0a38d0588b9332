// `subscriptions`: who gets the messages.

import * as v from "valibot";
import { authSchema, signatureSchema } from "./schema-auth.ts";
import { callbackEntries } from "./schema-callback.ts";
import { deliverPolicy, subjectFilter } from "./schema-endpoint.ts";
import { choice, id, name, object, strings, timestamp } from "./schema-parts.ts";
import { sslSchema } from "./schema-ssl.ts";

/** What stands under `configuration`, or below it under `entrypointConfiguration`. */
const deliveryEntries = {
  deliverPolicy: deliverPolicy("Where its durable consumer starts the first time", "the endpoint's"),
  ...callbackEntries,
  auth: v.optional(authSchema),
  ssl: v.optional(sslSchema),
  signature: v.optional(signatureSchema),
};

export const DELIVERY_KEYS: readonly string[] = Object.keys(deliveryEntries);

const configurationEntries = {
  entrypointId: name("`id` of the entrypoint"),
  channel: v.optional(
    v.pipe(subjectFilter("Subjects to get, within the endpoint's"), v.metadata({ fallback: "all" })),
  ),
  ...deliveryEntries,
  entrypointConfiguration: v.optional(
    v.pipe(
      object(deliveryEntries),
      v.description("The same keys, except for `entrypointId` and `channel`, may stand here instead"),
    ),
  ),
};

const configuration = v.pipe(object(configurationEntries), v.description("What is delivered, and where to"));

const subscriptionEntries = {
  id: v.optional(
    v.pipe(
      id(
        "Names the durable consumer `relay-<id>`; may be left out for the only subscription of an entrypoint",
      ),
      v.metadata({ fallback: "the `entrypointId`" }),
    ),
  ),
  application: v.optional(name("Whose subscription it is")),
  metadata: v.optional(strings("Texts by names of your own, shown with the subscription")),
  startingAt: v.optional(timestamp("It runs from this time on")),
  endingAt: v.optional(timestamp("It runs until this time")),
  status: v.optional(
    choice("`PAUSED`: it does not run until it is resumed", ["ACCEPTED", "PAUSED"]),
    "ACCEPTED",
  ),
  configuration,
};

export const subscriptionSchema = v.pipe(
  object(subscriptionEntries),
  v.description("One callback for the messages of an entrypoint"),
);

/** As the API of one entrypoint takes it: the address names the entrypoint. */
export const subscriptionOfEntrypointSchema = v.pipe(
  object({
    ...subscriptionEntries,
    configuration: v.pipe(
      object({ ...configurationEntries, entrypointId: v.optional(configurationEntries.entrypointId) }),
      v.description("What is delivered, and where to"),
    ),
  }),
  v.description("One callback for the messages of the entrypoint"),
);
