// What operations of the document have in their addresses and headers; each is named once, and referred to.

/** For `components.parameters`. */
export const PARAMETERS = {
  Id: {
    name: "id",
    in: "path",
    required: true,
    description: "Of the subscription",
    schema: { type: "string" },
  },
  Application: {
    name: "application",
    in: "path",
    required: true,
    description: "Name of the application",
    schema: { type: "string" },
  },
  ContextPath: {
    name: "contextPath",
    in: "path",
    required: true,
    description: "`contextPath` of the entrypoint, without its first slash; it may have several segments",
    schema: { type: "string" },
  },
  Limit: {
    name: "limit",
    in: "query",
    description: "How many at most",
    schema: { type: "integer", minimum: 1, maximum: 1000, default: 100 },
  },
  Cursor: {
    name: "cursor",
    in: "query",
    description: "The `next` of the page before",
    schema: { type: "string" },
  },
  IfMatch: {
    name: "If-Match",
    in: "header",
    description: "The `ETag` of the definition that is meant; without it, whichever there is",
    schema: { type: "string" },
  },
  LetterId: {
    name: "id",
    in: "path",
    required: true,
    description: "Of the dead letter",
    schema: { type: "string" },
  },
  ReplayId: {
    name: "id",
    in: "path",
    required: true,
    description: "Of the replay",
    schema: { type: "string" },
  },
  LetterSubscription: {
    name: "subscription",
    in: "query",
    description: "Id of the subscription",
    schema: { type: "string" },
  },
  LetterEntrypoint: {
    name: "entrypoint",
    in: "query",
    description: "Id of the entrypoint",
    schema: { type: "string" },
  },
  LetterApplication: {
    name: "application",
    in: "query",
    description: "`application` of the subscription",
    schema: { type: "string" },
  },
  LetterReason: {
    name: "reason",
    in: "query",
    description: "What the last attempt came to",
    schema: { type: "string", enum: ["rejected", "server-error", "exception"] },
  },
  LetterStatus: {
    name: "status",
    in: "query",
    description: "Status of the last response: `404`, `4xx`, or `0` for none",
    schema: { type: "string" },
  },
  LetterFrom: {
    name: "from",
    in: "query",
    description: "Dead-lettered then or later",
    schema: { type: "string", format: "date-time" },
  },
  LetterTo: {
    name: "to",
    in: "query",
    description: "Dead-lettered before",
    schema: { type: "string", format: "date-time" },
  },
  LetterError: {
    name: "error",
    in: "query",
    description: "A part of the error's text, in any case",
    schema: { type: "string" },
  },
  PayloadEncoding: {
    name: "payload",
    in: "query",
    description: "How the payload is shown",
    schema: { type: "string", enum: ["text", "hex", "base64"], default: "text" },
  },
  RecordId: {
    name: "id",
    in: "path",
    required: true,
    description: "Of the record",
    schema: { type: "string" },
  },
  EntrypointId: {
    name: "entrypoint",
    in: "path",
    required: true,
    description: "Id of the entrypoint",
    schema: { type: "string" },
  },
  CallbackUrlPart: {
    name: "callbackUrl",
    in: "query",
    description: "A part of the callback URL",
    schema: { type: "string" },
  },
  AttemptedFrom: {
    name: "from",
    in: "query",
    description: "First attempted then or later",
    schema: { type: "string", format: "date-time" },
  },
  AttemptedTo: {
    name: "to",
    in: "query",
    description: "First attempted before",
    schema: { type: "string", format: "date-time" },
  },
  ExportFormat: {
    name: "format",
    in: "query",
    description: "JSON lines, or CSV (`text/csv`) without headers and bodies",
    schema: { type: "string", enum: ["jsonl", "csv"], default: "jsonl" },
  },
  LastEventId: {
    name: "Last-Event-ID",
    in: "header",
    description: "Goes on after this record; without it, with what comes from now on",
    schema: { type: "string" },
  },
};

export type ParameterName = keyof typeof PARAMETERS;
