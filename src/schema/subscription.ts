// The schema of `subscriptions`: who gets the messages.

import * as v from "valibot";
import { SUBJECT_FILTER } from "#delivery/subject.ts";
import { isObject } from "#lib/json.ts";
import { authSchema, signatureSchema } from "./auth.ts";
import { callbackEntries } from "./callback.ts";
import { deliverPolicy, SUBJECT_FILTER_FORM } from "./endpoint.ts";
import { type Path, valueAt } from "./issue.ts";
import { choice, id, list, name, object, strings, text, timestamp } from "./parts.ts";
import { sslSchema } from "./ssl.ts";

/** The keys of `configuration` that may also be nested in `configuration.entrypointConfiguration`. */
const deliveryEntries = {
  deliverPolicy: deliverPolicy("Where its durable consumer starts the first time", "the endpoint's"),
  ...callbackEntries,
  auth: v.optional(authSchema),
  ssl: v.optional(sslSchema),
  signature: v.optional(signatureSchema),
};

export const DELIVERY_KEYS: readonly string[] = Object.keys(deliveryEntries);

/** Gravitee writes a slash before the subject; it is dropped. */
const channelFilter = v.pipe(
  text("A subject filter", {
    pattern: new RegExp(String.raw`^(?!/$)/?${SUBJECT_FILTER.source.replace(/^\^/u, "")}`, "u"),
    allowed: SUBJECT_FILTER_FORM,
  }),
  v.transform((input) => input.replace(/^\//u, "")),
);
const channelFilters = list(channelFilter, { description: "Subject filters", min: 1, max: 256 });
const oneOrMore = v.union(
  [channelFilter, channelFilters],
  `allowed: ${SUBJECT_FILTER_FORM}, or a list of them`,
);

/** Runs one option instead of the union, whose faults would not name the entry of the list. */
const channelInput: typeof oneOrMore = {
  ...oneOrMore,
  "~run": (dataset, config) =>
    Array.isArray(dataset.value)
      ? channelFilters["~run"](dataset, config)
      : channelFilter["~run"](dataset, config),
};

const channel = v.pipe(
  channelInput,
  v.description(
    "Subjects to get, within the endpoint's: one filter, or a list (nats-server 2.10); one leading `/` is dropped",
  ),
  v.examples(["orders.>", ["orders.eu.>", "orders.us.>"]]),
  v.metadata({ fallback: "all" }),
);

const configurationEntries = {
  entrypointId: name("`id` of the entrypoint"),
  channel: v.optional(channel),
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

/** A subscription as the API shows it. */
export const shownSubscriptionSchema = v.pipe(
  object(subscriptionEntries),
  v.description("One callback for the messages of an entrypoint"),
);

/** Gravitee exports `configuration` under another name. */
const OTHER_NAME = "The same as `configuration`, which may have this name instead";

const namedSubscription = object({
  ...subscriptionEntries,
  configuration: v.optional(configuration),
  consumerConfiguration: v.optional(v.pipe(configuration, v.description(OTHER_NAME))),
});

type NamedSubscription = v.InferOutput<typeof namedSubscription>;

function isNamedOnce({ configuration: one, consumerConfiguration: other }: NamedSubscription): boolean {
  return (one === undefined) !== (other === undefined);
}

function namedOnceMessage({ configuration: one }: NamedSubscription): string {
  return one === undefined
    ? "missing, allowed: an object with entrypointId, channel, callbackUrl and more"
    : "excluded by consumerConfiguration: give one of them";
}

function toOneName({ configuration: named, consumerConfiguration: other, ...entry }: NamedSubscription) {
  // `isNamedOnce` has made sure that one of them is there.
  return { ...entry, configuration: (named ?? other) as v.InferOutput<typeof configuration> };
}

export const subscriptionSchema = v.pipe(
  namedSubscription,
  v.forward(
    v.check(isNamedOnce, (issue) => namedOnceMessage(issue.input)),
    ["configuration"],
  ),
  v.transform(toOneName),
  v.description("One callback for the messages of an entrypoint"),
);

/** For requests to the API of one entrypoint, whose address names the entrypoint. */
const configurationOfEntrypoint = v.pipe(
  object({ ...configurationEntries, entrypointId: v.optional(configurationEntries.entrypointId) }),
  v.description("What is delivered, and where to"),
);

export const subscriptionOfEntrypointSchema = v.pipe(
  object({
    ...subscriptionEntries,
    configuration: v.optional(configurationOfEntrypoint),
    consumerConfiguration: v.optional(v.pipe(configurationOfEntrypoint, v.description(OTHER_NAME))),
  }),
  v.description("One callback for the messages of the entrypoint"),
);

/** Converts a path of a check to the file's own: checks use `configuration` even if the file says `consumerConfiguration`. */
export function toWrittenPath(path: Path, root: unknown): Path {
  const [list, index, key, ...rest] = path;
  if (list !== "subscriptions" || key !== "configuration" || index === undefined) return path;
  const entry = valueAt(root, [list, index]);
  const isRenamed = isObject(entry) && "consumerConfiguration" in entry;
  return isRenamed && !("configuration" in entry) ? [list, index, "consumerConfiguration", ...rest] : path;
}
