// Exports spans in batches, one after the other, from a bounded queue: a collector that is away costs spans, nothing else.
//
//   idle --span--> collecting --1 s, or 512 spans--> sending --accepted, refused--> idle or sending
//                                                     ^    \--unavailable--> pausing: 1, 2, 4 … 30 s, or its Retry-After
//                                                     '----------------------------'

import { repeatDelayMs } from "#delivery/backoff.ts";
import type { Logger } from "#lib/logger.ts";
import type { Collector } from "./collector.ts";

interface ExporterOptions {
  readonly collector: Collector;
  /** The request that carries the spans. */
  readonly toDocument: (spans: readonly string[]) => string;
  readonly counts: SpanCounts;
  readonly logger: Logger;
}

/** Since the start of the relay. */
export interface SpanCounts {
  exported: number;
  dropped: number;
}

export interface Exporter {
  /** Drops it if the queue is full: then it is not encoded either. */
  readonly add: (encode: () => string) => void;
  /** Why spans cannot be exported; null: they can. */
  readonly fault: () => string | null;
  /** Exports what is left, within `limitMs`. Resolves with the spans that were not exported. */
  readonly close: (limitMs: number) => Promise<readonly string[]>;
}

const EVERY_MS = 1000;
const MAX_BATCH = 512;
const MAX_BATCH_LENGTH = 1024 * 1024;
/** Of all spans that are held, in characters. */
const MAX_LENGTH = 4 * 1024 * 1024;
const BACKOFF = { initialMs: 1000, maxMs: 30_000 };
const MAX_PAUSE_MS = 300_000;
/** Between two lines about lost spans. */
const TELL_INTERVAL_MS = 600_000;

export function createExporter({ collector, toDocument, counts, logger }: ExporterOptions): Exporter {
  let queue: string[] = [];
  let length = 0;
  let phase: "idle" | "collecting" | "sending" | "pausing" | "closed" = "idle";
  let timer: NodeJS.Timeout | null = null;
  let sending: Promise<boolean> | null = null;
  let failures = 0;
  let fault: string | null = null;
  let toldAtMs = Number.NEGATIVE_INFINITY;
  let isTold = false;

  function after(delayMs: number, next: "collecting" | "pausing"): void {
    phase = next;
    timer = setTimeout(begin, delayMs);
  }

  function begin(): void {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    phase = "sending";
    sending = send();
    void sending.then(goOn); // Never rejects.
  }

  function goOn(): void {
    sending = null;
    if (phase !== "sending") return;
    if (queue.length >= MAX_BATCH) begin();
    else if (queue.length > 0) after(EVERY_MS, "collecting");
    else phase = "idle";
  }

  /** False: the collector takes none at present. */
  async function send(): Promise<boolean> {
    const batch = queue.slice(0, batchSize(queue));
    const result = await collector.send(toDocument(batch), batch.length);
    if (result.kind === "unavailable") {
      tell(result.reason);
      failures += 1;
      const delayMs = repeatDelayMs(failures, { ...BACKOFF, random: Math.random() });
      const pauseMs = Math.min(result.retryAfterMs ?? 0, MAX_PAUSE_MS);
      if (phase === "sending") after(Math.max(delayMs, pauseMs), "pausing");
      return false;
    }
    failures = 0;
    queue = queue.slice(batch.length);
    length -= lengthOf(batch);
    const rejected = result.kind === "refused" ? batch.length : result.rejected;
    counts.exported += batch.length - rejected;
    counts.dropped += rejected;
    if (rejected > 0) tell(result.reason);
    else recover();
    return true;
  }

  function tell(reason: string): void {
    fault = reason;
    const nowMs = performance.now();
    if (nowMs - toldAtMs < TELL_INTERVAL_MS) return;
    toldAtMs = nowMs;
    isTold = true;
    logger.warn("Cannot export spans", { reason });
  }

  function recover(): void {
    fault = null;
    if (isTold) logger.info("Spans are exported again", { dropped: counts.dropped });
    isTold = false;
  }

  return {
    add(encode) {
      if (phase === "closed") return;
      const span = length < MAX_LENGTH ? encode() : null;
      if (span === null) {
        counts.dropped += 1;
        tell(fault ?? "spans come faster than the collector takes them");
        return;
      }
      queue.push(span);
      length += span.length;
      if (phase === "idle") after(EVERY_MS, "collecting");
      if (phase === "collecting" && queue.length >= MAX_BATCH) begin();
    },
    fault: () => fault,
    async close(limitMs) {
      if (timer !== null) clearTimeout(timer);
      phase = "closed";
      const late = setTimeout(collector.close, limitMs);
      let isTaken = (await sending) ?? true;
      while (isTaken && queue.length > 0) isTaken = await send();
      clearTimeout(late);
      collector.close();
      return queue;
    },
  };
}

/** How many spans go into one request, one at least. */
function batchSize(queue: readonly string[]): number {
  let size = 0;
  let length = 0;
  for (const span of queue) {
    length += span.length;
    if (size === MAX_BATCH || (size > 0 && length > MAX_BATCH_LENGTH)) break;
    size += 1;
  }
  return size;
}

function lengthOf(spans: readonly string[]): number {
  return spans.reduce((sum, span) => sum + span.length, 0);
}
