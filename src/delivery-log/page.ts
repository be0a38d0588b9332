// Reads one page of records, newest first: slice by slice, with a break for deliveries in between.

import { setImmediate } from "node:timers/promises";
import type { RecordFilter } from "#delivery/record.ts";
import type { DeliveryLog, Result } from "./log.ts";
import type { StoredRecord } from "./row.ts";

interface RecordPage {
  readonly records: readonly StoredRecord[];
  /** The `before` of the next page; null: this is the last one. A page may be empty if the search took too long. */
  readonly next: number | null;
}

interface PageQuery {
  readonly filter: RecordFilter;
  /** Exclusive id; null: begin with the newest. */
  readonly before: number | null;
  readonly limit: number;
  /** Ends the search: the page has the records found so far. */
  readonly signal: AbortSignal;
}

/** Time limit for one page. */
const PAGE_MS = 200;

export async function readPage(
  log: Pick<DeliveryLog, "readSlice">,
  { filter, before, limit, signal }: PageQuery,
): Promise<Result<RecordPage>> {
  const found: StoredRecord[] = [];
  const endsAt = performance.now() + PAGE_MS;
  let from: number | null = before ?? Number.MAX_SAFE_INTEGER;
  while (from !== null && found.length <= limit && !signal.aborted && performance.now() < endsAt) {
    const missing = limit + 1 - found.length;
    const slice = log.readSlice({ filter, from, direction: "down", columns: "brief", limit: missing });
    if (slice.kind === "unavailable") return slice;
    found.push(...slice.value.records);
    from = slice.value.end;
    await setImmediate();
  }
  const records = found.slice(0, limit);
  const next = found.length > limit ? (records.at(-1)?.id ?? null) : from;
  return { kind: "done", value: { records, next } };
}
