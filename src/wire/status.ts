// How the relay is: its status and readiness, a reload, orphaned consumers, and the activity of the last hour.

import * as v from "valibot";
import { component, exampleOf } from "./component.ts";
import { count, date, pageSchema, stringView, textOrNull, texts, type ViewOf, namedPage } from "./view.ts";

/** As many as `/api/activity` looks back. */
export const MINUTES = 60;

export const statusSchema = component(
  "Status",
  v.strictObject({
    host: stringView("Name of the host: `host.name`"),
    version: stringView("Version of the relay"),
    commit: stringView("Commit that it was built from"),
    startedAt: date("When this process started"),
    config: v.strictObject({
      path: stringView("Path of the config file"),
      loadedAt: date("When the running config was loaded"),
      refused: textOrNull("Why the current file was refused; null: it runs"),
      warnings: texts("Warnings of `relay check`"),
    }),
    nats: v.strictObject({
      connected: v.boolean(),
      server: textOrNull("Host and port of the server"),
      serverVersion: textOrNull("Version of the server"),
      reconnects: count("Number of reconnects since the start"),
      lastError: textOrNull("Why the connection is, or last was, down"),
      bucket: textOrNull("Why states and subscriptions made by API cannot be stored; null: they can"),
    }),
    fleet: v.pipe(
      v.nullable(
        v.strictObject({
          prefix: stringView("`fleet.prefix`"),
          fault: textOrNull("Why the API is not served over NATS as it should be; null: it is"),
        }),
      ),
      v.description("null: `fleet` is not enabled"),
    ),
    deliveryLog: v.strictObject({
      written: count("Records written since the start"),
      dropped: count("Records lost since the start"),
      unpublished: count("Records not published to NATS, though `deliveryLog.publish` is set"),
      faults: count("Failed reads and writes since the start"),
      fault: textOrNull("Why it cannot be read or written now; null: it can"),
    }),
    telemetry: v.pipe(
      v.nullable(
        v.strictObject({
          endpoint: stringView("Where spans are sent"),
          exported: count("Spans that the collector took since the start"),
          dropped: count("Spans lost since the start"),
          fault: textOrNull("Why spans cannot be sent just now; null: they can"),
        }),
      ),
      v.description("null: nothing is traced"),
    ),
    readiness: v.strictObject({
      isReady: v.boolean(),
      reasons: texts("Why it is not ready"),
      idle: texts("Subscriptions that failed or are paused, stopped or scheduled"),
    }),
    subscriptions: v.pipe(
      v.record(v.string(), count("Subscriptions")),
      v.description("Number of subscriptions by state"),
    ),
    unusable: v.pipe(
      v.array(
        v.strictObject({
          id: stringView("Id of the subscription, or key in the bucket"),
          reason: stringView("Why"),
        }),
      ),
      v.description(
        "Subscriptions made by API that this relay cannot run, and bucket entries that it refuses, 1000 at most",
      ),
    ),
  }),
  {
    host: "edge-7",
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
    fleet: { prefix: "relay.fleet", fault: null },
    deliveryLog: { written: 4711, dropped: 0, unpublished: 0, faults: 0, fault: null },
    telemetry: { endpoint: "http://127.0.0.1:4318/v1/traces", exported: 92, dropped: 0, fault: null },
    readiness: { isReady: true, reasons: [], idle: ["Subscription billing: Paused"] },
    subscriptions: { running: 4, paused: 1 },
    unusable: [],
  },
);

export type Status = ViewOf<typeof statusSchema>;

/** Answer of `/readyz`. */
export const readinessSchema = component(
  "Readiness",
  v.strictObject({
    ready: v.boolean(),
    reasons: texts("Why it is not ready; without credentials, only how many reasons there are"),
    idle: texts(
      "Subscriptions that failed or are paused, stopped or scheduled, which do not affect readiness; without credentials, only how many",
    ),
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
    changes: texts("A line for each change; empty: nothing changed"),
    warnings: texts("Warnings of `relay check`"),
    loadedAt: date("When the running config was loaded: before this request, if nothing changed"),
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
    consumer: stringView("Name of the durable consumer, `relay-<id>`"),
    subscription: stringView("Id of the subscription that it belonged to"),
    domain: textOrNull("JetStream domain of the stream"),
    stream: stringView("The stream"),
    pending: count("Messages in the stream not delivered to it yet"),
    ackPending: count("Messages delivered and not acknowledged"),
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

export type Orphan = ViewOf<typeof orphanSchema>;

export const orphanPageSchema = namedPage("OrphanPage", orphanSchema);

const perMinute = (description: string) =>
  v.pipe(v.array(count("In one minute")), v.length(MINUTES), v.description(description));

const activitySchema = component(
  "Activity",
  v.strictObject({
    subscription: stringView("Id of the subscription"),
    perSecond: v.pipe(v.number(), v.minValue(0), v.description("Attempts per second, over the last minute")),
    delivered: perMinute("Attempts answered with 2xx in each minute of the last hour, oldest first"),
    failed: perMinute("All other attempts, in the same way"),
  }),
  {
    subscription: "billing",
    perSecond: 2.5,
    delivered: [...Array<number>(MINUTES - 1).fill(0), 150],
    failed: Array<number>(MINUTES).fill(0),
  },
);

export type ActivityView = ViewOf<typeof activitySchema>;

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
