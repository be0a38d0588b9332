// How the relay is, in one answer.

import * as v from "valibot";
import { count, date, text, textOrNull, texts, type View } from "./view.ts";

export const statusSchema = v.strictObject({
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
    v.array(v.strictObject({ id: text("Of the subscription, or a key of the bucket"), reason: text("Why") })),
    v.description(
      "Subscriptions made by API that this relay cannot run, and entries of the bucket that it refuses, 1000 at most",
    ),
  ),
});

export type Status = View<typeof statusSchema>;

/** Answer of `/readyz`. */
export const readinessSchema = v.strictObject({
  ready: v.boolean(),
  reasons: texts("Why it is not; they name no URL, and without credentials only say how many there are"),
  idle: texts("Interrupted or paused subscriptions, which are no fault; without credentials, how many"),
});
