// The schema of `endpoints` and `endpointGroups`: where messages come from, and where dead letters go.

import * as v from "valibot";
import { LITERAL_SUBJECT, SUBJECT_FILTER } from "#delivery/subject.ts";
import { choiceMessage, flag, integer, list, name, object, text, timestamp } from "./parts.ts";

const stream = (description: string) =>
  text(description, {
    pattern: /^(?![^.*>/\\]*[.*>/\\])[!-~]{1,255}$/u,
    allowed: "the name of a stream: printable ASCII without blank . * > / \\",
  });

export const SUBJECT_FILTER_FORM =
  "a NATS subject, where * stands for one token and > at the end for the rest";

function subjectFilter(description: string) {
  return text(description, {
    pattern: SUBJECT_FILTER,
    allowed: SUBJECT_FILTER_FORM,
  });
}

const DELIVER_POLICY =
  'allowed: "all", "new", "last", { "startSequence": 1 } or { "startTime": "2026-01-31T12:00:00Z" }';

const deliverPolicyInput = v.union(
  [
    v.picklist(["all", "new", "last"]),
    v.strictObject({ startSequence: integer("First sequence", { min: 1, max: Number.MAX_SAFE_INTEGER }) }),
    v.strictObject({ startTime: timestamp("Time of the first message") }),
  ],
  DELIVER_POLICY,
);

export function deliverPolicy(description: string, fallback: string) {
  return v.optional(v.pipe(deliverPolicyInput, v.description(description), v.metadata({ fallback })));
}

const consumer = v.pipe(
  object({
    stream: stream("The stream; it is never created, a missing one is waited for"),
    subjects: v.optional(
      v.pipe(
        list(subjectFilter("A subject"), { description: "Subjects to read", min: 1, max: 256 }),
        v.metadata({ fallback: "all" }),
      ),
    ),
    deliverPolicy: deliverPolicy(
      'Where a new durable consumer starts: `all`, `new`, `last`, `{ "startSequence" }` or `{ "startTime" }`',
      "`all`; `new` under `NONE`",
    ),
    ackWaitSeconds: v.optional(
      integer("How soon another relay takes over what a dead one held", {
        min: 5,
        max: 600,
        unit: "seconds",
      }),
      30,
    ),
  }),
  v.description("Makes the endpoint a source"),
);

const producer = v.pipe(
  object({
    stream: stream("The stream that stores dead letters"),
    subject: text("Dead letters are stored below this subject", {
      pattern: LITERAL_SUBJECT,
      allowed: "a NATS subject without wildcards",
    }),
    create: v.optional(flag("Make the stream if it is missing"), false),
    maxAgeSeconds: v.optional(
      v.pipe(
        integer("Letters older than this are dropped", { min: 1, max: 3_153_600_000, unit: "seconds" }),
        v.metadata({ fallback: "without limit" }),
      ),
    ),
    maxBytes: v.optional(
      v.pipe(
        integer("A full stream takes no more letters", {
          min: 1,
          max: Number.MAX_SAFE_INTEGER,
          unit: "bytes",
        }),
        v.metadata({ fallback: "without limit" }),
      ),
    ),
    replicas: v.optional(integer("Copies in the cluster", { min: 1, max: 5 }), 1),
  }),
  v.description("Makes the endpoint a place for dead letters"),
);

export const endpointSchema = v.pipe(
  object({
    name: name("What others in the file call it; unique, also among the groups"),
    type: v.pipe(v.literal("jetstream", choiceMessage(["jetstream"])), v.description("`jetstream`")),
    domain: v.optional(
      text("JetStream domain", {
        pattern: /^[A-Za-z0-9_-]{1,128}$/u,
        allowed: 'letters, digits, "-" and "_"',
      }),
    ),
    consumer: v.optional(consumer),
    producer: v.optional(producer),
  }),
  v.description("One stream, to read from or to write to"),
);

export const endpointGroupSchema = v.pipe(
  object({
    name: name("What others in the file call it"),
    endpoints: list(name("Name of an endpoint"), { description: "Tried in order", min: 1, max: 32 }),
  }),
  v.description("Endpoints that stand in for each other"),
);
