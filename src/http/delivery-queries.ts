// Which records a request means: the filters of its query.

import type * as v from "valibot";
import { parseStatusFilter } from "#delivery/letter.ts";
import type { RecordFilter } from "#delivery/record.ts";
import type { deliveryFilterSchema } from "#wire/delivery.ts";

export function toRecordFilter(given: v.InferOutput<typeof deliveryFilterSchema>): RecordFilter {
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
