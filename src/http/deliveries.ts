// `/api/deliveries`: what the delivery log holds: listed, shown, exported, followed.

import { type Context, Hono } from "hono";
import * as v from "valibot";
import { readPage } from "#delivery-log/page.ts";
import type { DeliveryLog } from "#delivery-log/log.ts";
import { deliveryFilterSchema, deliveryQuerySchema, exportQuerySchema } from "#wire/delivery.ts";
import type { ServerEnv } from "./caller.ts";
import { EXPORT_TYPES, streamExport } from "./delivery-export.ts";
import { toRecordFilter } from "./delivery-queries.ts";
import { streamDeliveries } from "./delivery-stream.ts";
import { toDeliveryDetail, toDeliveryView } from "./delivery-view.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { ServerSlots } from "./slots.ts";

export interface DeliveryRoutesOptions {
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

export function createDeliveryRoutes({ deliveryLog, slots }: DeliveryRoutesOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const refuse = (problem: Problem) => toProblemResponse(problem);
  const refuseFault = (reason: string) =>
    refuse({ status: 503, detail: `The delivery log cannot be read: ${reason}` });
  const refuseQuery = (issues: readonly v.BaseIssue<unknown>[]) => {
    const errors = issues.map((issue) => ({ path: v.getDotPath(issue) ?? "", message: issue.message }));
    return refuse({ status: 400, detail: "The request has faults", errors });
  };
  /** Streams and exports last as long as somebody reads them. */
  const mayLast = ({ env, get }: Context<ServerEnv>) => slots.streams.take(get("tenant"), env.over);

  routes.get("/", async (context) => {
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
    const items = records.map(toDeliveryView);
    return context.json({ items, next: next === null ? null : String(next) });
  });

  routes.get("/export", (context) => {
    const query = v.safeParse(exportQuerySchema, context.req.query());
    if (!query.success) return refuseQuery(query.issues);
    const { format, ...filter } = query.output;
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    return context.body(streamExport(deliveryLog, { filter: toRecordFilter(filter), format }), 200, {
      "content-type": EXPORT_TYPES[format],
      "content-disposition": `attachment; filename="deliveries.${format}"`,
    });
  });

  routes.get("/stream", (context) => {
    const query = v.safeParse(deliveryFilterSchema, context.req.query());
    if (!query.success) return refuseQuery(query.issues);
    const lastId = context.req.header("last-event-id") ?? "";
    if (lastId !== "" && !ID.test(lastId)) return refuse(BAD_LAST_ID);
    const newest = deliveryLog.newestId();
    if (newest.kind === "unavailable") return refuseFault(newest.reason);
    if (!mayLast(context)) return refuse(TOO_MANY);
    const stream = streamDeliveries(deliveryLog, {
      filter: toRecordFilter(query.output),
      after: lastId === "" ? newest.value : Number(lastId),
      isStillAdmitted: context.get("isStillAdmitted"),
    });
    return context.body(stream, 200, { "content-type": "text/event-stream" });
  });

  routes.get("/:id", (context) => {
    const id = context.req.param("id");
    if (!ID.test(id)) return refuse(NOT_FOUND);
    const found = deliveryLog.find(Number(id));
    if (found.kind === "unavailable") return refuseFault(found.reason);
    return found.value === null ? refuse(NOT_FOUND) : context.json(toDeliveryDetail(found.value));
  });

  return routes;
}
