// Sends spans to a collector by OTLP over HTTP, and understands its answer.

import { retryAfterMs } from "#callback/answer.ts";
import { createPoster } from "#callback/poster.ts";
import type { Config } from "#config/resolve.ts";
import { createMask } from "#lib/mask.ts";
import { clean } from "#lib/printable.ts";

export type TelemetrySettings = NonNullable<Config["telemetry"]>;

export type SendResult =
  /** `rejected`: how many of them the collector did not take, and why. */
  | { readonly kind: "accepted"; readonly rejected: number; readonly reason: string }
  /** It will never take them. */
  | { readonly kind: "refused"; readonly reason: string }
  /** `retryAfterMs`: the pause that it asked for; null: none. */
  | { readonly kind: "unavailable"; readonly reason: string; readonly retryAfterMs: number | null };

export interface Collector {
  /** Never rejects. One at a time. `count`: how many spans are in the document. */
  readonly send: (document: string, count: number) => Promise<SendResult>;
  /** Ends the request in flight, and each later one at once. */
  readonly close: () => void;
}

const TIMEOUT_MS = 10_000;
/** OTLP: the others are for good. */
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const MAX_REASON = 200;

export function openCollector(
  { url, headers }: Pick<TelemetrySettings, "url" | "headers">,
  { timeoutMs = TIMEOUT_MS } = {},
): Collector {
  const { host } = url;
  const poster = createPoster({
    url,
    route: {
      connectTimeoutMs: timeoutMs / 2,
      tls: { trusted: null, identity: null, verifiesCertificate: true, verifiesHostName: true },
      proxy: { kind: "none" },
      addresses: { allow: [], deny: [], deniesPrivate: false },
    },
    timeoutMs,
    late: {
      kind: "exception",
      code: "timeout",
      error: `No complete answer from ${host} within ${timeoutMs} ms`,
    },
    isKept: true,
  });
  // Of `Bearer …` what follows is the secret.
  const mask = createMask(headers.flatMap(([, value]) => [value, ...value.split(" ")]));
  const own = headers.filter(([name]) => name.toLowerCase() !== "content-type");
  const sent = [...own.flat(), "Content-Type", "application/json"];

  function toAccepted(body: Uint8Array, count: number): SendResult {
    const { rejectedSpans = 0, errorMessage = "" } = readPartialSuccess(body);
    const rejected = Math.min(Math.max(0, Math.trunc(Number(rejectedSpans)) || 0), count);
    const text = typeof errorMessage === "string" ? errorMessage.slice(0, MAX_REASON) : "";
    const reason = `${host} rejected ${rejected} spans: ${clean(mask(text, "cut").toWellFormed())}`;
    return { kind: "accepted", rejected, reason };
  }

  return {
    async send(document, count) {
      const end = await poster.post(sent, Buffer.from(document));
      if (end.kind === "failed") {
        return { kind: "unavailable", reason: end.exception.error, retryAfterMs: null };
      }
      const { status } = end;
      if (status >= 200 && status < 300) return toAccepted(end.body, count);
      const reason = `${host} answered ${status}`;
      if (!RETRIED.has(status)) return { kind: "refused", reason };
      return {
        kind: "unavailable",
        reason,
        retryAfterMs: retryAfterMs(end.headers["retry-after"], new Date()),
      };
    },
    close: poster.close,
  };
}

interface PartialSuccess {
  readonly rejectedSpans?: unknown;
  readonly errorMessage?: unknown;
}

/** Empty: all were taken, or it does not say. */
function readPartialSuccess(body: Uint8Array): PartialSuccess {
  try {
    const answer: unknown = JSON.parse(new TextDecoder().decode(body));
    const { partialSuccess } = Object(answer) as { partialSuccess?: unknown };
    return Object(partialSuccess) as PartialSuccess;
  } catch {
    return {};
  }
}
