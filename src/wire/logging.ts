// What is recorded of each entrypoint, and the body that changes it for a while.

import * as v from "valibot";
import { integer, object } from "#schema/parts.ts";
import { keptSchema, samplingSchema } from "#schema/record.ts";
import { component } from "./component.ts";
import { dateOrNull, stringView, type ViewOf, namedPage } from "./view.ts";

/** What is left out stays as the file has it. */
export const loggingBodySchema = component(
  "LoggingBody",
  object({
    logging: v.optional(keptSchema),
    sampling: v.optional(samplingSchema),
    minutes: v.optional(
      integer("How long it holds, on this relay only; without it, on all relays until it is removed", {
        min: 1,
        max: 1440,
      }),
    ),
  }),
  {
    logging: {
      enabled: true,
      request: { headers: true, payload: true },
      response: { headers: true, payload: true },
    },
    sampling: { type: "ALL" },
    minutes: 15,
  },
);

const settings = { logging: keptSchema, sampling: samplingSchema };

export const loggingViewSchema = component(
  "Logging",
  v.strictObject({
    entrypoint: stringView("Id of the entrypoint"),
    file: v.pipe(v.strictObject(settings), v.description("The settings of the config file")),
    override: v.pipe(
      v.nullable(
        v.strictObject({
          ...settings,
          until: dateOrNull("When it ends by itself; null: it is kept for all relays"),
        }),
      ),
      v.description(
        "Settings in effect instead: on this relay until `until` or a restart, or kept for all relays; null: there are none",
      ),
    ),
  }),
  {
    entrypoint: "webhook",
    file: {
      logging: {
        enabled: false,
        request: { headers: false, payload: false },
        response: { headers: false, payload: false },
      },
      sampling: { type: "WINDOWED_COUNT", value: "10/PT1S" },
    },
    override: null,
  },
);

export type LoggingView = ViewOf<typeof loggingViewSchema>;
export type LoggingBody = v.InferInput<typeof loggingBodySchema>;
export type SettingsView = LoggingView["file"];
export type SamplingView = SettingsView["sampling"];

export const loggingPageSchema = namedPage("LoggingPage", loggingViewSchema);
