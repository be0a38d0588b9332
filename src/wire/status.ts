// How the relay is: its status and readiness, a reload, orphaned consumers, and the activity of the last hour.

import * as v from "valibot";
import { component, exampleOf } from "./component.ts";
import { count, date, pageSchema, text, textOrNull, texts, type View, namedPage } from "./view.ts";

/** As many as `/api/activity` looks back. */
export const MINUTES = 60;

export const statusSchema = component(
  "Status",
  v.strictObject({
    version: text("Of the relay"),
    commit: text("It was built from"),
    startedAt: date("When this process started"),
    config: v.strictObject({
      path: text("Of the file"),
      loadedAt: date("When the config that runs was loaded"),
      refused: textOrNull("Why the file that is there now was refused; null: it runs"),
      warnings: texts("What `relay check` warns of"),
    }),
    nats: v.strictObject({
      connected: v.boolean(),
      server: textOrNull("Host and port of the server"),
      serverVersion: textOrNull("Version of the server"),
      reconnects: count("Since the start"),
      lastError: textOrNull("Why it is, or last was, not connected"),
      bucket: textOrNull("Why states and subscriptions made by API cannot be kept; null: they can"),
    }),
    deliveryLog: v.strictObject({
      written: count("Records written since the start"),
      dropped: count("Records that were lost since then"),
      faults: count("How often it could not be written or read since then"),
      fault: textOrNull("Why it cannot be written or read just now; null: it can"),
    }),
    readiness: v.strictObject({
      isReady: v.boolean(),
      reasons: texts("Why it is not"),
      idle: texts("Interrupted or paused subscriptions"),
    }),
    subscriptions: v.pipe(
      v.record(v.string(), count("Subscriptions")),
      v.description("How many in which state"),
    ),
    unusable: v.pipe(
      v.array(
        v.strictObject({ id: text("Of the subscription, or a key of the bucket"), reason: text("Why") }),
      ),
      v.description(
        "Subscriptions made by API that this relay cannot run, and entries of the bucket that it refuses, 1000 at most",
      ),
    ),
  }),
  {
    version: "0.1.0",
    commit: "3f2a91c0d4b7",
    startedAt: "2026-01-31T12:00:00.000Z",
    config: {
      path: "/etc/relay/relay.config.json",
      loadedAt: "2026-01-31T12:00:00.000Z",
      refused: null,
      warnings: [],
    },
    nats: {
      connected: true,
      server: "nats-1.example:4222",
      serverVersion: "2.12.8",
      reconnects: 0,
      lastError: null,
      bucket: null,
    },
    deliveryLog: { written: 4711, dropped: 0, faults: 0, fault: null },
    readiness: { isReady: true, reasons: [], idle: ["Subscription billing is paused"] },
    subscriptions: { consuming: 4, asleep: 1 },
    unusable: [],
  },
);

export type Status = View<typeof statusSchema>;

/** Answer of `/readyz`. */
export const readinessSchema = component(
  "Readiness",
  v.strictObject({
    ready: v.boolean(),
    reasons: texts("Why it is not; they name no URL, and without credentials only say how many there are"),
    idle: texts("Interrupted or paused subscriptions, which are no fault; without credentials, how many"),
  }),
  {
    ready: false,
    reasons: ["NATS is not connected"],
    idle: [],
  },
);

export const reloadSchema = component(
  "Reload",
  v.strictObject({
    changes: texts("A line for each thing that changed; empty: nothing did"),
    warnings: texts("What `relay check` warns of"),
    loadedAt: date("When the config that runs was loaded: before this request, if nothing changed"),
  }),
  {
    changes: ["Subscription billing changed"],
    warnings: [],
    loadedAt: "2026-01-31T12:00:00.000Z",
  },
);

export type Reloaded = v.InferOutput<typeof reloadSchema>;

export const orphanSchema = component(
  "Orphan",
  v.strictObject({
    consumer: text("The durable, `relay-<id>`"),
    subscription: text("Id that the subscription had"),
    domain: textOrNull("JetStream domain of the stream"),
    stream: text("The stream"),
    pending: count("Messages that it would get"),
    ackPending: count("Delivered, but not acknowledged"),
  }),
  {
    consumer: "relay-billing-old",
    subscription: "billing-old",
    domain: null,
    stream: "ORDERS",
    pending: 12,
    ackPending: 0,
  },
);

export type Orphan = View<typeof orphanSchema>;

export const orphanPageSchema = namedPage("OrphanPage", orphanSchema);

const perMinute = (description: string) =>
  v.pipe(v.array(count("In one minute")), v.length(MINUTES), v.description(description));

const activitySchema = component(
  "Activity",
  v.strictObject({
    subscription: text("Its id"),
    perSecond: v.pipe(v.number(), v.minValue(0), v.description("Attempts, over the last minute")),
    delivered: perMinute("Attempts answered with 2xx in each minute of the last hour, oldest first"),
    failed: perMinute("All other attempts, likewise"),
  }),
  {
    subscription: "billing",
    perSecond: 2.5,
    delivered: [...Array<number>(MINUTES - 1).fill(0), 150],
    failed: Array<number>(MINUTES).fill(0),
  },
);

export type ActivityView = View<typeof activitySchema>;

export const activityPageSchema = component(
  "ActivityPage",
  v.strictObject({
    ...pageSchema(activitySchema).entries,
    endsAt: date("When the newest minute ends"),
  }),
  {
    items: [exampleOf(activitySchema)],
    next: null,
    endsAt: "2026-01-31T12:01:00.000Z",
  },
);
