// The schema of settings that entrypoints and subscriptions share: how a callback is called, and how often.

import * as v from "valibot";
import { _addIssue as addIssue } from "valibot";
import { MEANINGS, RESPONSE_KEY } from "#delivery/responses.ts";
import { choice, describeFound, integer, list, object, text, variantMessage } from "./parts.ts";
import { referable, secret, toReferable } from "./secret.ts";
import { shapeEntries } from "./transform.ts";

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/u;

/** Headers whose inline values are no secrets. */
const PLAIN_HEADERS: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "cache-control",
  "content-encoding",
  "content-language",
  "content-type",
  "user-agent",
]);

const header = v.pipe(
  object({
    name: text("Name", { pattern: HEADER_NAME, allowed: "the name of an HTTP header" }),
    value: secret("Value"),
  }),
  v.transform(({ name, value }) => ({
    name,
    value: PLAIN_HEADERS.has(name.toLowerCase()) ? toReferable(value) : value,
  })),
);

export const headersSchema = v.pipe(
  list(header, { description: "Headers of the request", max: 100 }),
  v.metadata({ fallback: "`[]`" }),
);

const delay = (description: string) => integer(description, { min: 1, max: 86_400, unit: "seconds" });

const retry = v.pipe(
  v.variant(
    "retryOption",
    [
      object({ retryOption: v.literal("No Retry") }),
      object({
        retryOption: v.literal("Retry On Fail"),
        retryStrategy: v.optional(
          choice("How the delay grows: by the first delay each time, or doubling", ["LINEAR", "EXPONENTIAL"]),
          "EXPONENTIAL",
        ),
        maxAttempts: v.optional(integer("Retries after the first call", { min: 1, max: 1000 }), 3),
        initialDelaySeconds: v.optional(delay("Delay before the first retry"), 1),
        maxDelaySeconds: v.optional(delay("The longest delay"), 60),
      }),
    ],
    variantMessage,
  ),
  v.description('`{ "retryOption": "No Retry" }` or `"Retry On Fail"`'),
  v.metadata({ fallback: '`{ "retryOption": "No Retry" }`' }),
);

const rateLimit = v.pipe(
  object({
    requests: integer("How many requests may start in that time", { min: 1, max: 100_000 }),
    perSeconds: v.optional(integer("The time", { min: 1, max: 86_400, unit: "seconds" }), 1),
    burst: v.optional(
      v.pipe(
        integer("How many may start at once, after a time without any", { min: 1, max: 100_000 }),
        v.metadata({ fallback: "`requests`" }),
      ),
    ),
  }),
  v.description("How often requests may start, retries, replays and probes included; for each relay"),
  v.metadata({ fallback: "no limit" }),
  v.examples([
    { requests: 10, perSeconds: 1 },
    { requests: 100, perSeconds: 60, burst: 10 },
  ]),
);

const statuses = v.record(
  text("Status", {
    pattern: RESPONSE_KEY,
    allowed: 'a status, a range or a class: "409", "500-503", "4xx"',
  }),
  choice("Its meaning", MEANINGS),
  (issue) =>
    `found ${describeFound(issue.input)}, allowed: an object such as { "410": "stop", "409": "delivered" }`,
);

/** Refuses a list, which valibot's record takes for an object. */
const statusesInObject: typeof statuses = {
  ...statuses,
  "~run": (dataset, config) => {
    if (!Array.isArray(dataset.value)) return statuses["~run"](dataset, config);
    addIssue(statuses, "type", dataset, config);
    return dataset as unknown as ReturnType<(typeof statuses)["~run"]>;
  },
};

const responses = v.pipe(
  statusesInObject,
  v.description(
    "What answers mean, by status (`409`), range (`500-503`) or class (`4xx`): `delivered`, `rejected`, `retry`, `server-error` or `stop`",
  ),
  v.metadata({ fallback: "`{}`" }),
  v.examples([
    { "410": "stop", "409": "delivered" },
    { "4xx": "rejected", "500-503": "retry" },
  ]),
);

const ordering = v.pipe(
  object({
    key: v.optional(
      v.pipe(
        text(
          "What messages that keep their order have in common: `subject`, `header:NAME`, or `token:N`, the Nth token of the subject",
          {
            pattern: /^(?:subject|header:[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}|token:[1-9][0-9]?)$/u,
            allowed: '"subject", "header:NAME" or "token:N", N from 1 to 99',
          },
        ),
        v.metadata({ fallback: "all keep it" }),
      ),
    ),
    onFailure: v.optional(
      choice("What a failure interrupts: the subscription, or only the messages of its key", [
        "subscription",
        "key",
      ]),
      "subscription",
    ),
    window: v.optional(
      v.pipe(
        integer("How many messages are held; up to four times as many while NATS is far away", {
          min: 1,
          max: 1000,
        }),
        v.metadata({ fallback: "64, with a `key` 256" }),
      ),
    ),
  }),
  v.description("Which messages keep their order, under `AT_LEAST_ONCE` and `AT_MOST_ONCE`"),
  v.metadata({ fallback: "all keep it" }),
);

export const callbackEntries = {
  callbackUrl: v.optional(referable("`http://` or `https://`")),
  method: v.optional(
    v.pipe(choice("Method of the request", ["POST", "PUT", "PATCH"]), v.metadata({ fallback: "`POST`" })),
  ),
  headers: v.optional(headersSchema),
  retry: v.optional(retry),
  rateLimit: v.optional(rateLimit),
  maxAgeSeconds: v.optional(
    v.pipe(
      integer("An older message is not sent when its turn comes: it becomes a dead letter, or is dropped", {
        min: 1,
        max: 31_536_000,
        unit: "seconds",
      }),
      v.metadata({ fallback: "none" }),
    ),
  ),
  responses: v.optional(responses),
  ordering: v.optional(ordering),
  ...shapeEntries,
};

export const resumeSchema = v.pipe(
  v.variant(
    "strategy",
    [
      object({ strategy: v.literal("MANUAL") }),
      object({
        strategy: v.literal("AUTO"),
        initialDelaySeconds: v.optional(delay("Delay before the first probe"), 5),
        maxDelaySeconds: v.optional(delay("The longest delay between probes"), 300),
      }),
    ],
    variantMessage,
  ),
  v.description(
    "How an interrupted subscription goes on: `MANUAL`, or `AUTO` by itself, with one message as a probe",
  ),
);
