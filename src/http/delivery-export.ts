// Exports delivery records as JSON lines with all fields, or as CSV without headers and bodies, streamed as the client reads.

import { setImmediate } from "node:timers/promises";
import type { RecordFilter } from "#delivery/record.ts";
import type { DeliveryLog } from "#delivery-log/log.ts";
import type { StoredRecord } from "#delivery-log/row.ts";
import type { DeliveryView } from "#wire/delivery.ts";
import { toDeliveryDetail, toDeliveryView } from "./delivery-view.ts";

type ExportFormat = "jsonl" | "csv";

export const EXPORT_TYPES: Readonly<Record<ExportFormat, string>> = {
  jsonl: "application/jsonl",
  csv: "text/csv; charset=utf-8",
};

/** With bodies, that is some megabytes at once. */
const SLICE = 50;

const COLUMNS: readonly (keyof DeliveryView)[] = [
  "id",
  "date",
  "host",
  "entrypoint",
  "subscription",
  "application",
  "method",
  "callbackUrl",
  "webhookId",
  "stream",
  "sequence",
  "subject",
  "status",
  "durationMs",
  "attempts",
  "error",
  "deadLetterId",
];

/** Newest first. Errors if the log cannot be read any more. */
export function streamExport(
  log: Pick<DeliveryLog, "readSlice">,
  {
    host,
    filter,
    format,
    redact,
  }: {
    readonly host: string;
    readonly filter: RecordFilter;
    readonly format: ExportFormat;
    readonly redact: (record: StoredRecord) => StoredRecord;
  },
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const isCsv = format === "csv";
  const toLine = (record: StoredRecord) =>
    isCsv ? toCsvLine(toDeliveryView(record, host)) : `${JSON.stringify(toDeliveryDetail(record, host))}\n`;
  let from: number | null = Number.MAX_SAFE_INTEGER;
  let lines = isCsv ? `${COLUMNS.join(",")}\r\n` : "";
  const leaving = new AbortController();

  return new ReadableStream({
    async pull(controller) {
      while (from !== null && lines === "" && !leaving.signal.aborted) {
        const columns = isCsv ? "brief" : "whole";
        const slice = log.readSlice({ filter, from, direction: "down", columns, limit: SLICE });
        if (slice.kind === "unavailable") return controller.error(new Error(slice.reason));
        lines = slice.value.records.map((record) => toLine(redact(record))).join("");
        from = slice.value.end;
        await setImmediate();
      }
      if (leaving.signal.aborted) return;
      if (lines !== "") controller.enqueue(encoder.encode(lines));
      if (from === null) controller.close();
      lines = "";
    },
    cancel: () => leaving.abort(),
  });
}

/** RFC 4180. The number of attempts stands for them. */
function toCsvLine(view: DeliveryView): string {
  const cells = COLUMNS.map((column) => {
    const value = column === "attempts" ? view.attempts.length : view[column];
    return toCell(String(value ?? ""));
  });
  return `${cells.join(",")}\r\n`;
}

/** Quotes a value that a spreadsheet would run as a formula. */
function toCell(value: string): string {
  const safe = /^[=+\-@\t\r\n]/u.test(value) ? `'${value}` : value;
  return /[",\r\n]/u.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
