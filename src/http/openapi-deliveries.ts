// The routes of the delivery log and of what is recorded in it, as the document tells of them.

import { json, type Operation } from "./openapi-operations.ts";
import type { ParameterName } from "./openapi-parameters.ts";

const FILTERS: readonly ParameterName[] = [
  "LetterStatus",
  "CallbackUrlPart",
  "LetterApplication",
  "LetterSubscription",
  "LetterEntrypoint",
  "AttemptedFrom",
  "AttemptedTo",
];

export const DELIVERY_OPERATIONS: readonly Operation[] = [
  {
    method: "get",
    path: "/api/deliveries",
    id: "listDeliveries",
    summary: "Records of the delivery log, newest first, without headers and bodies",
    access: "read",
    parameters: [...FILTERS, "Limit", "Cursor"],
    answers: [json("DeliveryPage", "A page of them")],
    problems: [400, 503],
  },
  {
    method: "get",
    path: "/api/deliveries/export",
    id: "exportDeliveries",
    summary: "All records that meet the filters, newest first, as a file",
    access: "read",
    parameters: [...FILTERS, "ExportFormat"],
    answers: [
      { status: 200, description: "A `DeliveryDetail` in each line", content: { type: "application/jsonl" } },
    ],
    problems: [400, 503],
  },
  {
    method: "get",
    path: "/api/deliveries/stream",
    id: "followDeliveries",
    summary: "Records that meet the filters, as they are written",
    access: "read",
    parameters: [...FILTERS, "LastEventId"],
    answers: [
      {
        status: 200,
        description: "Server-sent events: a `Delivery` each, its id the record's",
        content: { type: "text/event-stream" },
      },
    ],
    problems: [400, 429, 503],
  },
  {
    method: "get",
    path: "/api/deliveries/{id}",
    id: "getDelivery",
    summary: "One record, with what was kept of the request and the response",
    access: "read",
    parameters: ["RecordId"],
    answers: [json("DeliveryDetail", "All of it")],
    problems: [404, 503],
  },
  {
    method: "get",
    path: "/api/logging",
    id: "listLogging",
    summary: "What is recorded of each entrypoint: what the file says, and what holds for a while",
    access: "read",
    parameters: ["Limit", "Cursor"],
    answers: [json("LoggingPage", "A page of them")],
    problems: [400],
  },
  {
    method: "put",
    path: "/api/logging/{entrypoint}",
    id: "overrideLogging",
    summary: "Records otherwise than the file says, for a while, in this relay",
    access: "write",
    parameters: ["EntrypointId"],
    body: { schema: "LoggingBody", isRequired: true },
    answers: [json("Logging", "It holds")],
    problems: [400, 404, 422],
  },
  {
    method: "delete",
    path: "/api/logging/{entrypoint}",
    id: "restoreLogging",
    summary: "Records as the file says",
    access: "write",
    parameters: ["EntrypointId"],
    answers: [{ status: 204, description: "It does", content: null }],
    problems: [404],
  },
];
