// The schema of an entrypoint's `logging` and `sampling`: what the delivery log keeps.

import * as v from "valibot";
import { flag, object, text, variantMessage } from "./parts.ts";

const part = (what: string) =>
  v.optional(
    v.pipe(
      object({
        headers: v.optional(flag(`Keep the headers of the ${what}`), false),
        payload: v.optional(flag(`Keep the body of the ${what}`), false),
      }),
      v.description(`What is kept of the ${what}`),
    ),
    {},
  );

const kept = {
  enabled: v.optional(flag("Keep headers and bodies at all"), false),
  request: part("request"),
  response: part("response"),
};

/** The part of `logging` that overrides may change while Relay runs. */
export const keptSchema = v.pipe(object(kept), v.description("What a record holds besides the facts"));

export const loggingSchema = v.pipe(
  object({
    ...kept,
    errorExcerpt: v.optional(
      flag(
        "End the error of a failed attempt with the beginning of a textual answer, 200 characters at most, also in logs, events and dead letters",
      ),
      true,
    ),
  }),
  v.description("What a record holds besides the facts"),
);

const DURATION = String.raw`P(?=.*[1-9])(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:\.\d+)?S)?)?`;

const count = text("Every n-th message", { pattern: /^[1-9]\d{0,8}$/u, allowed: 'a count such as "100"' });
const share = text("Share of the messages", {
  pattern: /^(?:0(?:\.\d{1,9})?|1(?:\.0{1,9})?)$/u,
  allowed: 'a share from "0" to "1"',
});
const duration = text("One message in this time", {
  pattern: new RegExp(`^${DURATION}$`, "u"),
  allowed: 'an ISO 8601 duration such as "PT10S"',
});
const countInTime = text("So many messages in this time", {
  pattern: new RegExp(String.raw`^[1-9]\d{0,8}/${DURATION}$`, "u"),
  allowed: 'a count and an ISO 8601 duration such as "1/PT10S"',
});

export const samplingSchema = v.pipe(
  v.variant(
    "type",
    [
      object({ type: v.literal("COUNT"), value: v.optional(count, "100") }),
      object({ type: v.literal("PROBABILITY"), value: share }),
      object({ type: v.literal("TEMPORAL"), value: duration }),
      object({ type: v.literal("WINDOWED_COUNT"), value: countInTime }),
      object({ type: v.literal("ALL") }),
    ],
    variantMessage,
  ),
  v.description(
    "Which messages are recorded: `COUNT` (the first, then every n-th), `PROBABILITY` (0 to 1), `TEMPORAL` (one in an " +
      "ISO 8601 duration), `WINDOWED_COUNT` (`1/PT10S`) or `ALL`. Failures always are",
  ),
);
