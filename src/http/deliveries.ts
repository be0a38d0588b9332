// `/api/deliveries`: lists, shows, exports and streams the records of the delivery log.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import { parseStatusFilter } from "#delivery/letter.ts";
import type { RecordFilter } from "#delivery/record.ts";
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
import { describe, json, type Operation, raw } from "./operation.ts";
import type { ServerEnv } from "./caller.ts";
import { EXPORT_TYPES, streamExport } from "./delivery-export.ts";
import { streamDeliveries } from "./delivery-stream.ts";
import { toDeliveryDetail, toDeliveryView } from "./delivery-view.ts";
import { type Problem, toFaultsProblem, toProblemResponse } from "./problem.ts";
import type { ServerSlots } from "./slots.ts";

export interface DeliveryRoutesOptions {
  /** `host.name`. */
  readonly host: string;
  readonly slots: Pick<ServerSlots, "streams">;
  readonly deliveryLog: Pick<DeliveryLog, "find" | "readSlice" | "newestId" | "newerThan">;
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
  description: "Without headers and bodies: `getDelivery` has those of one record.",
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

export function createDeliveryRoutes({ host, deliveryLog, slots }: DeliveryRoutesOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);
  const refuseFault = (reason: string) =>
    refuse({ status: 503, detail: `The delivery log cannot be read: ${reason}` });
  const refuseQuery = (issues: readonly v.BaseIssue<unknown>[]) => refuse(toFaultsProblem(400, issues));
  /** Streams and exports take a slot as long as the client reads. */
  const mayLast = ({ env, get }: Context<ServerEnv>) => slots.streams.take(get("tenant"), env.over);

  routes.get("/", describe(LIST), async (context) => {
    const query = v.safeParse(deliveryQuerySchema, context.req.query());
    if (!query.success) return refuseQuery(query.issues);
    const { limit, cursor, ...filter } = query.output;
    const page = await readPage(deliveryLog, {
      filter: toRecordFilter(filter),
      before: cursor === undefined ? null : Number(cursor),
      limit,
      signal: context.req.raw.signal,
    });
    if (page.kind === "unavailable") return refuseFault(page.reason);
    const { records, next } = page.value;
    const items = records.map((record) => toDeliveryView(record, host));
    return context.json({ items, next: next === null ? null : String(next) });
  });

  routes.get("/export", describe(EXPORT), (context) => {
    const query = v.safeParse(exportQuerySchema, context.req.query());
    if (!query.success) return refuseQuery(query.issues);
    const { format, ...filter } = query.output;
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    return context.body(streamExport(deliveryLog, { host, filter: toRecordFilter(filter), format }), 200, {
      "content-type": EXPORT_TYPES[format],
      "content-disposition": `attachment; filename="deliveries.${format}"`,
    });
  });

  routes.get("/stream", describe(FOLLOW), (context) => {
    const query = v.safeParse(deliveryFilterSchema, context.req.query());
    if (!query.success) return refuseQuery(query.issues);
    const lastId = context.req.header("last-event-id") ?? "";
    if (lastId !== "" && !ID.test(lastId)) return refuse(BAD_LAST_ID);
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    const stream = streamDeliveries(deliveryLog, {
      host,
      filter: toRecordFilter(query.output),
      after: lastId === "" ? newest.value : Number(lastId),
      isStillAdmitted: context.get("isStillAdmitted"),
    });
    return context.body(stream, 200, { "content-type": "text/event-stream" });
  });

  routes.get("/:id", describe(SHOW), (context) => {
    const id = context.req.param("id");
    if (!ID.test(id)) return refuse(NOT_FOUND);
    const found = deliveryLog.find(Number(id));
    if (found.kind === "unavailable") return refuseFault(found.reason);
    return found.value === null ? refuse(NOT_FOUND) : context.json(toDeliveryDetail(found.value, host));
  });

  return routes;
}

function toRecordFilter(given: v.InferOutput<typeof deliveryFilterSchema>): RecordFilter {
  const { status, from, to } = given;
  return {
    status: status === undefined ? null : parseStatusFilter(status),
    callbackUrl: given.callbackUrl ?? null,
    application: given.application ?? null,
    subscription: given.subscription ?? null,
    entrypoint: given.entrypoint ?? null,
    from: from === undefined ? null : new Date(from),
    to: to === undefined ? null : new Date(to),
  };
}
