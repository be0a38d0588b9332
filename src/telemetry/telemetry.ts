// Traces messages for OpenTelemetry: gives each its trace, makes spans of what observers hear, exports the sampled ones.

import { hash, randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Message, toWebhookId } from "#delivery/message.ts";
import { formatTraceparent, readTraceContext, type Trace } from "#delivery/trace.ts";
import type { Logger } from "#lib/logger.ts";
import { settlesWithin } from "#lib/settles-within.ts";
import { VERSION } from "#lib/version.ts";
import type { Observer } from "#pipeline/observer.ts";
import { openCollector, type TelemetrySettings } from "./collector.ts";
import { createExporter, type Exporter, type SpanCounts } from "./exporter.ts";
import { type Broker, toAttemptSpan, toDocument, toMessageSpan } from "./spans.ts";

interface TelemetryOptions {
  readonly host: string;
  readonly broker: () => Broker;
  readonly logger: Logger;
}

interface TelemetryStats extends SpanCounts {
  /** Why spans cannot be exported; null: they can, or are not to be. */
  readonly fault: string | null;
}

interface Telemetry {
  readonly observer: Observer & Required<Pick<Observer, "trace">>;
  /** Null: traces nothing. Spans that the former collector did not take go to the new one. */
  readonly apply: (settings: TelemetrySettings | null) => void;
  readonly stats: () => TelemetryStats;
  /** Exports what is left, within `limitMs`. */
  readonly close: (limitMs: number) => Promise<void>;
}

/** For a collector that the config does not name any more. */
const LEAVE_MS = 5000;

export function createTelemetry({ host, broker, logger }: TelemetryOptions): Telemetry {
  const counts = { exported: 0, dropped: 0 };
  const resource = {
    "service.name": "relay",
    "service.version": VERSION,
    "service.instance.id": randomUUID(),
    "host.name": host,
  };
  let settings: TelemetrySettings | null = null;
  let exporter: Exporter | null = null;
  const leaving = new Set<Promise<void>>();

  function openExporter(next: TelemetrySettings): Exporter {
    return createExporter({
      collector: openCollector(next),
      toDocument: (spans) => toDocument(spans, { resource, version: VERSION }),
      counts,
      logger,
    });
  }

  function leave(former: Exporter, limitMs: number): void {
    const left = former.close(limitMs).then((spans) => {
      for (const span of spans) {
        if (exporter === null) counts.dropped += 1;
        else exporter.add(() => span);
      }
    });
    leaving.add(left);
    void left.then(() => leaving.delete(left)); // Never rejects.
  }

  return {
    observer: {
      trace: (message) => (settings === null ? null : toTrace(message, settings.sampleRatio)),
      attempted(report) {
        const { trace } = report;
        if (trace?.kind === "sampled") exporter?.add(() => toAttemptSpan(trace, report));
      },
      settled(report) {
        const { trace } = report;
        if (trace?.kind !== "sampled") return;
        exporter?.add(() => toMessageSpan(trace, report, { broker: broker(), clockMs: performance.now() }));
      },
      postponed: () => {},
    },
    apply(next) {
      const former = exporter;
      const isSame = isDeepStrictEqual(collectorOf(settings), collectorOf(next));
      settings = next;
      if (isSame) return;
      exporter = next === null ? null : openExporter(next);
      if (former !== null) leave(former, LEAVE_MS);
    },
    stats: () => ({ ...counts, fault: exporter?.fault() ?? null }),
    async close(limitMs) {
      settings = null;
      // What a former collector does not take goes to the present one.
      await settlesWithin(Promise.all(leaving), limitMs / 2);
      const former = exporter;
      exporter = null;
      if (former !== null) leave(former, limitMs / 2);
      await Promise.all(leaving);
    },
  };
}

function collectorOf(settings: TelemetrySettings | null): unknown {
  return settings === null ? null : { url: settings.url.href, headers: settings.headers };
}

const HEX_OF_RATIO = 13;
const MAX_RATIO = 2 ** 52;

/**
 * The parent decides whether its trace is sampled. Without a parent, trace id and decision follow from the message: all
 * relays, redeliveries and replays come to the same. `ratio`: from 0 to 1.
 */
function toTrace(message: Message, ratio: number): Trace {
  const parent = message.headers.length === 0 ? null : readTraceContext(message.headers);
  if (parent !== null) {
    const { traceId, spanId, isSampled, flags, tracestate } = parent;
    if (!isSampled) return { kind: "unsampled", headers: parent };
    return { ...newSpan(), traceId, parentId: spanId, flags, tracestate };
  }
  const digest = hash("sha256", toWebhookId(message), "hex");
  const traceId = digest.slice(0, 32);
  const share = Number.parseInt(traceId.slice(-HEX_OF_RATIO), 16) / MAX_RATIO;
  if (share < ratio) return { ...newSpan(), traceId, parentId: null, flags: 0, tracestate: null };
  const traceparent = formatTraceparent({ traceId, spanId: digest.slice(32, 48), flags: 0 });
  return { kind: "unsampled", headers: { traceparent, tracestate: null } };
}

function newSpan() {
  const times = { receivedAtMs: Date.now(), receivedMs: performance.now() };
  return { kind: "sampled", spanId: randomSpanId(), ...times } as const;
}

/** Not all zeros, which is no span id. */
function randomSpanId(): string {
  const word = () => Math.floor(Math.random() * 0xff_ff_ff_ff) + 1;
  return [word(), word()].map((part) => part.toString(16).padStart(8, "0")).join("");
}
