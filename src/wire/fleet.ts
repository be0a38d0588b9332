// The relays of a fleet, as each tells about itself, and a request of the API as NATS carries it.

import * as v from "valibot";
import { component, exampleOf } from "./component.ts";
import { count, date, stringView, texts, type ViewOf } from "./view.ts";

export const fleetHostSchema = component(
  "FleetHost",
  v.strictObject({
    host: stringView("`host.name`"),
    id: stringView("Id of this run of the relay: two ids with one host are two relays"),
    version: stringView("Version of the relay"),
    commit: stringView("Commit that it was built from"),
    startedAt: date("When it started"),
    now: date("Its clock"),
    ready: v.pipe(v.boolean(), v.description("Whether it can do its job")),
    reasons: texts("Why it is not ready"),
    subscriptions: v.pipe(
      v.record(v.string(), count("Subscriptions")),
      v.description("Number of subscriptions by state"),
    ),
    pending: count("Messages in the streams that were not delivered to its subscriptions yet"),
  }),
  {
    host: "edge-7",
    id: "Zk3rN0aVx2",
    version: "0.1.0",
    commit: "3f2a91c0d4b7",
    startedAt: "2026-01-31T12:00:00.000Z",
    now: "2026-01-31T13:00:00.000Z",
    ready: true,
    reasons: [],
    subscriptions: { running: 4, failed: 1 },
    pending: 12,
  },
);

export type FleetHost = ViewOf<typeof fleetHostSchema>;

export const fleetViewSchema = component(
  "Fleet",
  v.strictObject({
    items: v.pipe(v.array(fleetHostSchema), v.description("Trouble first, then by name")),
    duplicates: texts("Names that several relays have"),
  }),
  { items: [exampleOf(fleetHostSchema)], duplicates: [] },
);

export type FleetView = ViewOf<typeof fleetViewSchema>;

/** A request of the API as NATS carries it, in JSON. */
export const fleetRequestSchema = v.strictObject({
  method: v.optional(v.picklist(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]), "GET"),
  path: v.pipe(v.string(), v.regex(/^\/[!-~]{0,8191}$/u)),
  headers: v.optional(
    v.record(
      v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,64}$/u)),
      v.pipe(v.string(), v.regex(/^[\t\x20-\x7E]{0,4096}$/u)),
    ),
    {},
  ),
  /** JSON. */
  body: v.optional(v.unknown()),
  /** Bytes in base64, instead of `body`. */
  bytes: v.optional(v.string()),
  /** Of the run of the relay that is meant: any other ignores the request. */
  instance: v.optional(v.string()),
  /** When nobody waits for the answer any more, by the relay's clock. */
  deadline: v.optional(v.pipe(v.string(), v.isoTimestamp())),
});

export type FleetRequest = v.InferInput<typeof fleetRequestSchema>;

/** What the reader of an answer of several messages says: how far it is, or that it has left. */
export const flowSchema = v.strictObject({
  flow: v.pipe(v.string(), v.maxLength(64)),
  received: v.pipe(v.number(), v.integer(), v.minValue(0)),
  cancel: v.optional(v.boolean(), false),
});

/** The headers of an answer's messages. */
export const FLEET_HEADERS = {
  status: "Relay-Status",
  /** The number of the message, from 0. */
  part: "Relay-Part",
  /** `1` in the last message. */
  end: "Relay-End",
  flow: "Relay-Flow",
  instance: "Relay-Instance",
  time: "Relay-Time",
  /** With it, nothing of the answer is whole. */
  fault: "Relay-Fault",
} as const;

/** Headers of an HTTP answer that mean something to whoever asked over NATS. */
export const ANSWER_HEADERS = [
  "content-type",
  "content-disposition",
  "etag",
  "location",
  "retry-after",
  "cache-control",
] as const;

/** So many messages of an answer are under way at most. */
export const FLOW_WINDOW = 16;
