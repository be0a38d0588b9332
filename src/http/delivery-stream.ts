// Streams delivery records as server-sent events. The id of an event is that of its record.
//
//   records after `last` -> sent -> waiting for newer ones -> sent ...
//                                            \-> now and then a sign of life
//
// Nothing is queued for a client: a slow one reads later from the log, and one that comes back from where it was.

import { setImmediate } from "node:timers/promises";
import type { RecordFilter } from "#delivery/record.ts";
import type { StoredRecord } from "#delivery-log/row.ts";
import type { DeliveryLog } from "#delivery-log/log.ts";
import { sleep } from "#lib/sleep.ts";
import { toDeliveryView } from "./delivery-view.ts";

interface StreamOptions {
  /** `host.name`. */
  readonly host: string;
  readonly filter: RecordFilter;
  /** Id of the record before the first one. */
  readonly after: number;
  readonly redact: (record: StoredRecord) => StoredRecord;
  /** False: it names no id but those of its records. An id tells how many records others have. */
  readonly tellsPlace: boolean;
  /** It ends soon after this is false. */
  readonly isStillAdmitted: () => boolean;
}

const SLICE = 100;
const PING_MS = 15_000;
const FAULT_AGAIN_MS = 1000;
const RECONNECT_MS = 2000;
/** A client that reads nothing cannot be told from one for which there is nothing: each comes back in time, or does not. */
const LIFE_MS = 900_000;

/** Begins when it is first read. */
export function streamDeliveries(
  log: Pick<DeliveryLog, "readSlice" | "newestId" | "newerThan">,
  { host, filter, after, redact, tellsPlace, isStillAdmitted }: StreamOptions,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const leaving = new AbortController();
  let last = after;
  const endsAt = performance.now() + LIFE_MS;
  let isBegun = false;

  /** An id without content only says where to go on from. */
  const place = () => (tellsPlace ? `id: ${last}\n\n` : ":\n\n");

  /** What is there after `last`, as events; null: nothing is, or it cannot be read. */
  async function readEvents(): Promise<string | null> {
    for (;;) {
      const newest = log.newestId();
      const slice = log.readSlice({ filter, from: last, direction: "up", columns: "brief", limit: SLICE });
      if (newest.kind === "unavailable" || slice.kind === "unavailable") {
        await sleep(FAULT_AGAIN_MS, leaving.signal);
        return null;
      }
      const { records, end } = slice.value;
      last = end ?? Math.max(last, newest.value);
      if (records.length > 0) {
        const events = records.map(
          (record) => `id: ${record.id}\ndata: ${JSON.stringify(toDeliveryView(redact(record), host))}\n\n`,
        );
        return events.join("");
      }
      if (end === null || leaving.signal.aborted) return null;
      await setImmediate();
    }
  }

  /** null: there are no more. */
  async function next(): Promise<string | null> {
    const pingAt = performance.now() + PING_MS;
    while (isStillAdmitted() && performance.now() < endsAt) {
      const events = await readEvents();
      if (events !== null) return events;
      const waitMs = Math.max(0, pingAt - performance.now());
      const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(waitMs)]);
      const how = await log.newerThan(last, signal);
      if (how === "closed" || leaving.signal.aborted) return null;
      if (how === "aborted") return place();
    }
    return null;
  }

  return new ReadableStream(
    {
      async pull(controller) {
        if (!isBegun) {
          isBegun = true;
          return controller.enqueue(encoder.encode(`retry: ${RECONNECT_MS}\n${place()}`));
        }
        const events = await next();
        if (events !== null) return controller.enqueue(encoder.encode(events));
        if (!leaving.signal.aborted) controller.close();
      },
      cancel: () => leaving.abort(),
    },
    { highWaterMark: 0 },
  );
}
