// What is recorded of each entrypoint, and the body that changes it for a while.

import * as v from "valibot";
import { integer, object } from "#config/schema-parts.ts";
import { loggingSchema, samplingSchema } from "#config/schema-record.ts";
import { date, text, type View } from "./view.ts";

/** What is left out stays as the file has it. */
export const loggingBodySchema = object({
  logging: v.optional(loggingSchema),
  sampling: v.optional(samplingSchema),
  minutes: integer("How long it holds", { min: 1, max: 1440 }),
});

const settings = { logging: loggingSchema, sampling: samplingSchema };

export const loggingViewSchema = v.strictObject({
  entrypoint: text("Its id"),
  file: v.pipe(v.strictObject(settings), v.description("What the file says")),
  override: v.pipe(
    v.nullable(v.strictObject({ ...settings, until: date("When it ends by itself") })),
    v.description("What holds instead, in this relay, until it is restarted; null: what the file says holds"),
  ),
});

export type LoggingView = View<typeof loggingViewSchema>;
export type LoggingBody = v.InferInput<typeof loggingBodySchema>;
export type SettingsView = LoggingView["file"];
export type SamplingView = SettingsView["sampling"];
