// The queue of records to write, limited in number and size.

import type { Capture, DeliveryRecord } from "#delivery/record.ts";

interface Queue {
  readonly length: number;
  /** False: the queue is full. Called on the hot path. */
  add: (record: DeliveryRecord) => boolean;
  /** The oldest records, as many as one write takes. They stay in the queue until `remove`. */
  readonly batch: () => readonly DeliveryRecord[];
  remove: (count: number) => void;
}

/** The most records of one write. */
export const BATCH_RECORDS = 500;

const MAX_RECORDS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;
const BATCH_BYTES = 256 * 1024;
/** Approximate memory of a record, and of each attempt, without captures. */
const RECORD_BYTES = 512;

interface Entry {
  readonly record: DeliveryRecord;
  readonly bytes: number;
}

export function createQueue(): Queue {
  const entries: Entry[] = [];
  let bytes = 0;
  return {
    get length() {
      return entries.length;
    },
    add(record) {
      const size = sizeOf(record);
      if (entries.length >= MAX_RECORDS || bytes + size > MAX_BYTES) return false;
      entries.push({ record, bytes: size });
      bytes += size;
      return true;
    },
    batch() {
      const batch: DeliveryRecord[] = [];
      let batchBytes = 0;
      for (const entry of entries) {
        batchBytes += entry.bytes;
        const isFull = batch.length === BATCH_RECORDS || (batch.length > 0 && batchBytes > BATCH_BYTES);
        if (isFull) break;
        batch.push(entry.record);
      }
      return batch;
    },
    remove(count) {
      for (const entry of entries.splice(0, count)) bytes -= entry.bytes;
    },
  };
}

function sizeOf({ attempts, request, response }: DeliveryRecord): number {
  return RECORD_BYTES * attempts.length + RECORD_BYTES + sizeOfCapture(request) + sizeOfCapture(response);
}

function sizeOfCapture(capture: Capture | null): number {
  if (capture === null) return 0;
  const headerLength = (capture.headers ?? []).reduce(
    (sum, [name, value]) => sum + name.length + value.length,
    0,
  );
  return 2 * headerLength + (capture.body?.length ?? 0);
}
