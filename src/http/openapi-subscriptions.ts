// The subscriptions' routes, as the document tells of them: once below `/api`, once below the context paths.

import { json, type Operation } from "./openapi-operations.ts";
import type { ParameterName } from "./openapi-parameters.ts";

/** `below`: the path that they are mounted on; `{contextPath}` stands for that of any entrypoint. */
export function subscriptionOperations(below: "/api" | "/{contextPath}"): readonly Operation[] {
  return below === "/api" ? OPERATIONS.map(toApi) : OPERATIONS.map(toContextPath);
}

interface Template extends Omit<Operation, "access"> {
  /** `operator`: nothing that who may only subscribe does. */
  readonly access: "read" | "write" | "operator";
}

/** The address names the entrypoint already. */
function ofEntrypoint(schema: string | null): string | null {
  return schema === "SubscriptionBody" ? "SubscriptionBodyOfEntrypoint" : schema;
}

function toApi({ access, ...template }: Template): Operation {
  return {
    ...template,
    access: access === "operator" ? "write" : access,
    path: `/api/subscriptions${template.path}`,
  };
}

function toContextPath({ parameters = [], access, body, ...template }: Template): Operation {
  return {
    ...template,
    path: `/{contextPath}/subscriptions${template.path}`,
    id: `${template.id}OfEntrypoint`,
    summary: `${template.summary}, limited to one entrypoint`,
    access: access === "operator" ? "write" : `entrypoint-${access}`,
    parameters: ["ContextPath", ...parameters],
    ...(body === undefined ? {} : { body: { ...body, schema: ofEntrypoint(body.schema) } }),
  };
}

const ONE: readonly ParameterName[] = ["Id"];
const VIEW = json("Subscription", "As it is now");
const NOT_STORED = json(
  "Subscription",
  "It counts on this relay, and is stored when NATS is back: `notStored`",
  202,
);

const OPERATIONS: readonly Template[] = [
  {
    method: "get",
    path: "",
    id: "listSubscriptions",
    summary: "Subscriptions, in the order of their ids",
    access: "read",
    parameters: ["Limit", "Cursor"],
    answers: [json("SubscriptionPage", "A page of them")],
    problems: [400],
  },
  {
    method: "post",
    path: "",
    id: "createSubscription",
    summary: "Makes a subscription, which all relays of the cluster run",
    access: "write",
    body: { schema: "SubscriptionBody", isRequired: true },
    answers: [{ ...json("Subscription", "It is kept", 201), headers: ["ETag", "Location"] }],
    problems: [400, 409, 422, 503],
  },
  {
    method: "get",
    path: "/{id}",
    id: "getSubscription",
    summary: "One subscription, and what it is defined as",
    access: "read",
    parameters: ONE,
    answers: [{ ...json("SubscriptionDetail", "As it is now"), headers: ["ETag"] }],
    problems: [404],
  },
  {
    method: "put",
    path: "/{id}",
    id: "replaceSubscription",
    summary: "Replaces a subscription that was made by API, secrets and all",
    access: "write",
    parameters: ["Id", "IfMatch"],
    body: { schema: "SubscriptionBody", isRequired: true },
    answers: [{ ...json("Subscription", "It is kept"), headers: ["ETag"] }],
    problems: [400, 404, 409, 412, 422, 503],
  },
  {
    method: "delete",
    path: "/{id}",
    id: "deleteSubscription",
    summary: "Deletes a subscription that was made by API, its consumer and its state",
    access: "write",
    parameters: ["Id", "IfMatch"],
    answers: [{ status: 204, description: "It is no more", content: null }],
    problems: [404, 409, 412, 503],
  },
  { ...stored("pause", "Pauses it, as its operator: `status` PAUSED"), access: "operator" },
  {
    ...stored("resume", "Resumes it, as its operator: `status` ACCEPTED; a FAILURE is over"),
    access: "operator",
    body: { schema: "ResumeBody", isRequired: false },
    problems: [400, 404, 409, 422, 503],
  },
  stored("stop", "Stops it, as its consumer: `consumerStatus` STOPPED"),
  stored("start", "Starts it, as its consumer: `consumerStatus` STARTED; a FAILURE is over"),
  {
    ...command("seek", "Goes on elsewhere in the stream; what is in flight ends first"),
    body: { schema: "SeekBody", isRequired: true },
    problems: [400, 404, 409, 422, 503],
  },
  {
    ...command(
      "test",
      "Sends a sample to its callback, with `X-Relay-Test: true` and all that is configured",
    ),
    body: {
      schema: null,
      isRequired: false,
      description: "Body of the sample, 64 KiB at most; without one Relay makes one up",
    },
    answers: [json("Exchange", "What came of it; nothing follows from it")],
    problems: [404, 413, 429, 503],
  },
];

/** What is kept in the bucket. */
function stored(name: string, summary: string): Template {
  return { ...command(name, summary), answers: [VIEW, NOT_STORED], problems: [404, 409, 503] };
}

function command(name: string, summary: string): Template {
  return {
    method: "post",
    path: `/{id}/${name}`,
    id: `${name}Subscription`,
    summary,
    access: "write",
    parameters: ONE,
    answers: [VIEW],
    problems: [404, 503],
  };
}
