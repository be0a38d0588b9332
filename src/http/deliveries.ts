// `/api/deliveries`: lists, shows, exports and streams the records of the delivery log.

import { Hono } from "hono";
import type * as v from "valibot";
import { parseStatusFilter } from "#delivery/letter.ts";
import { parseWebhookId } from "#delivery/message.ts";
import { withoutExcerpt } from "#delivery/outcome.ts";
import { EVERY_RECORD, type RecordFilter } from "#delivery/record.ts";
import { readPage } from "#delivery-log/page.ts";
import type { DeliveryLog } from "#delivery-log/log.ts";
import {
  deliveryDetailSchema,
  deliveryFilterSchema,
  deliveryPageSchema,
  deliveryQuerySchema,
  exportQuerySchema,
} from "#wire/delivery.ts";
import { PAGE_PARAMETERS } from "#wire/query.ts";
import { readQuery } from "./body.ts";
import { describe, json, type Operation, raw } from "./operation.ts";
import type { StoredRecord } from "#delivery-log/row.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { Registry } from "#registry/registry.ts";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { EXPORT_TYPES, streamExport } from "./delivery-export.ts";
import { streamDeliveries } from "./delivery-stream.ts";
import { toDeliveryDetail, toDeliveryView } from "./delivery-view.ts";
import { findUnknownId, isWithinLimit, type Limit, limitOf, maySeeAnswers } from "./limit.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { ServerSlots } from "./slots.ts";

export interface DeliveryRoutesOptions {
  /** `host.name`. */
  readonly host: string;
  readonly slots: Pick<ServerSlots, "streams">;
  readonly deliveryLog: Pick<DeliveryLog, "find" | "readSlice" | "countLeftOut" | "newestId" | "newerThan">;
  readonly registry: () => Pick<Registry, "list">;
  readonly findSubscription: (id: string) => RunningSubscription | null;
  readonly entrypoints: readonly { readonly id: string }[];
  /** Of the address; null: it stands below `/api`. */
  readonly entrypoint: string | null;
}

const ID = /^\d{1,16}$/u;
const NOT_FOUND: Problem = { status: 404, detail: "There is no such record" };
const TOO_MANY: Problem = {
  status: 429,
  detail: "There are too many streams and exports already",
  headers: { "retry-after": "5" },
};
const BAD_LAST_ID: Problem = { status: 400, detail: "Last-Event-ID takes the id of an event" };

const LIST: Operation = {
  id: "listDeliveries",
  tag: "Deliveries",
  summary: "Lists records of the delivery log, newest first",
  description:
    "Without headers and bodies: `getDelivery` has those of one record. A page that took too long ends early and may be empty: `next` goes on from there.",
  access: "read",
  query: { ...deliveryFilterSchema.entries, ...PAGE_PARAMETERS },
  answers: [json(deliveryPageSchema, "A page of records")],
  problems: [400, 503],
};
const EXPORT: Operation = {
  id: "exportDeliveries",
  tag: "Deliveries",
  summary: "Downloads all records that match, newest first",
  description:
    "As JSON lines, a `DeliveryDetail` in each, or as CSV without headers and bodies. It may take as long as the client reads.",
  access: "read",
  query: exportQuerySchema.entries,
  answers: [raw(["application/jsonl", "text/csv"], "The records")],
  problems: [400, 429, 503],
};
const FOLLOW: Operation = {
  id: "followDeliveries",
  tag: "Deliveries",
  summary: "Streams records that match as they are written",
  description:
    "Server-sent events: each holds a `Delivery`, and its id is that of the record. The stream ends after 15 minutes at most: open it again with the last id.",
  access: "read",
  query: deliveryFilterSchema.entries,
  headers: { "Last-Event-ID": "Goes on after this record; without it, with the records from now on" },
  answers: [raw(["text/event-stream"], "The events")],
  problems: [400, 429, 503],
};
const SHOW: Operation = {
  id: "getDelivery",
  tag: "Deliveries",
  summary: "Shows one record with its attempts, request and response",
  description: "Headers and bodies are there if `logging` of the entrypoint records them.",
  access: "read",
  params: { id: "Id of the record" },
  answers: [json(deliveryDetailSchema, "The record")],
  problems: [404, 503],
};

export function createDeliveryRoutes(options: DeliveryRoutesOptions): Hono<ServerEnv> {
  const { host, deliveryLog, slots } = options;
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);
  const refuseFault = (reason: string) =>
    refuse({ status: 503, detail: `The delivery log cannot be read: ${reason}` });
  /** Streams and exports take a slot as long as the client reads. */
  const mayLast = ({ env, get }: ServerContext) => slots.streams.take(get("tenant"), env.over);
  const limitFor = (context: ServerContext) => limitOf(context, options.entrypoint);

  /** What this caller may see of a record. */
  function redactorOf(context: ServerContext): (record: StoredRecord) => StoredRecord {
    const limit = limitFor(context);
    return (record) => {
      const subscription = options.findSubscription(record.subscription)?.subscription ?? null;
      if (maySeeAnswers(limit, subscription)) return record;
      const error = record.error === null ? null : withoutExcerpt(record.error);
      return { ...record, error, request: null, response: null };
    };
  }

  /** Ids that are not in the limit are ids that nothing has. */
  async function readFilter(context: ServerContext, given: FilterQuery): Promise<ReadFilter> {
    const limit = limitFor(context);
    const { signal } = context.req.raw;
    const isKept = async (name: "subscription" | "entrypoint" | "application", value: string) => {
      const filter = toLimited({ ...EVERY_RECORD, [name]: [value] }, limit);
      const page =
        filter === null ? null : await readPage(deliveryLog, { filter, before: null, limit: 1, signal });
      return page === null ? false : page.kind === "unavailable" || page.value.records.length > 0;
    };
    const unknown = await findUnknownId(given, "a record", { ...options, limit, isKept });
    if (unknown !== null) return { kind: "refused", problem: unknown };
    const filter = toLimited(toRecordFilter(given), limit);
    return filter === null ? { kind: "refused", problem: NOTHING } : { kind: "read", filter };
  }

  routes.get("/", describe(LIST), async (context) => {
    const read = readQuery(context, deliveryQuerySchema);
    if (read.kind === "refused") return refuse(read.problem);
    const { limit, cursor, ...given } = read.query;
    const wanted = await readFilter(context, given);
    if (wanted.kind === "refused") return refuse(wanted.problem);
    const { filter } = wanted;
    const leftOut = deliveryLog.countLeftOut(filter);
    if (leftOut.kind === "unavailable") return refuseFault(leftOut.reason);
    const page = await readPage(deliveryLog, {
      filter,
      before: cursor === undefined ? null : Number(cursor),
      limit,
      signal: context.req.raw.signal,
    });
    if (page.kind === "unavailable") return refuseFault(page.reason);
    const { records, next } = page.value;
    const redact = redactorOf(context);
    const items = records.map((record) => toDeliveryView(redact(record), host));
    return context.json({ items, next: next === null ? null : String(next), leftOut: leftOut.value });
  });

  routes.get("/export", describe(EXPORT), async (context) => {
    const read = readQuery(context, exportQuerySchema);
    if (read.kind === "refused") return refuse(read.problem);
    const { format, ...given } = read.query;
    const wanted = await readFilter(context, given);
    if (wanted.kind === "refused") return refuse(wanted.problem);
    const { filter } = wanted;
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    return context.body(
      streamExport(deliveryLog, { host, filter, format, redact: redactorOf(context) }),
      200,
      {
        "content-type": EXPORT_TYPES[format],
        "content-disposition": `attachment; filename="deliveries.${format}"`,
      },
    );
  });

  routes.get("/stream", describe(FOLLOW), async (context) => {
    const read = readQuery(context, deliveryFilterSchema);
    if (read.kind === "refused") return refuse(read.problem);
    const lastId = context.req.header("last-event-id") ?? "";
    if (lastId !== "" && !ID.test(lastId)) return refuse(BAD_LAST_ID);
    const wanted = await readFilter(context, read.query);
    if (wanted.kind === "refused") return refuse(wanted.problem);
    const { filter } = wanted;
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    const stream = streamDeliveries(deliveryLog, {
      host,
      filter,
      after: lastId === "" ? newest.value : Number(lastId),
      redact: redactorOf(context),
      tellsPlace: limitFor(context).application === null,
      isStillAdmitted: context.get("isStillAdmitted"),
    });
    return context.body(stream, 200, { "content-type": "text/event-stream" });
  });

  routes.get("/:id", describe(SHOW), (context) => {
    const id = context.req.param("id");
    if (!ID.test(id)) return refuse(NOT_FOUND);
    const found = deliveryLog.find(Number(id));
    if (found.kind === "unavailable") return refuseFault(found.reason);
    const { value: record } = found;
    if (record === null || !isWithinLimit(limitFor(context), record)) return refuse(NOT_FOUND);
    return context.json(toDeliveryDetail(redactorOf(context)(record), host));
  });

  return routes;
}

type FilterQuery = v.InferOutput<typeof deliveryFilterSchema>;

type ReadFilter =
  | { readonly kind: "read"; readonly filter: RecordFilter }
  | { readonly kind: "refused"; readonly problem: Problem };

/** Of two entrypoints or applications, one of which is out of the limit. */
const NOTHING: Problem = { status: 400, detail: "Nothing meets these filters" };

/** null: no record is in the limit and meets the filter. */
function toLimited(filter: RecordFilter, { entrypoint, application }: Limit): RecordFilter | null {
  const limited = (wanted: readonly string[], only: string | null) =>
    only === null ? wanted : wanted.length === 0 || wanted.includes(only) ? [only] : null;
  const entrypoints = limited(filter.entrypoint, entrypoint);
  const applications = limited(filter.application, application);
  if (entrypoints === null || applications === null) return null;
  return { ...filter, entrypoint: entrypoints, application: applications };
}

function toRecordFilter(given: FilterQuery): RecordFilter {
  const { status = [], webhookId = [], sequence = [], from, to } = given;
  return {
    status: status.flatMap((text) => parseStatusFilter(text) ?? []),
    callbackUrl: given.callbackUrl ?? [],
    application: given.application ?? [],
    subscription: given.subscription ?? [],
    entrypoint: given.entrypoint ?? [],
    subject: given.subject ?? [],
    sequence: sequence.map(Number),
    message: webhookId.flatMap((text) => parseWebhookId(text) ?? []),
    from: from === undefined ? null : new Date(from),
    to: to === undefined ? null : new Date(to),
  };
}
