// The trace of a message (W3C Trace Context): read from its headers, written to its requests. PURE.

import type { Header } from "./message.ts";

/** What a request says of its trace. */
export interface TraceHeaders {
  readonly traceparent: string;
  /** Null: none. */
  readonly tracestate: string | null;
}

/** Of one message from its arrival to its ending: a redelivery or a replay begins another one, in the same trace. */
export type Trace =
  /** Nobody records it: all its requests say the same. */
  { readonly kind: "unsampled"; readonly headers: TraceHeaders } | SampledTrace;

export interface SampledTrace {
  readonly kind: "sampled";
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** Of the message's own span: 16 hexadecimal digits. */
  readonly spanId: string;
  /** Null: the trace begins here. */
  readonly parentId: string | null;
  /** Beside `sampled`. */
  readonly flags: number;
  readonly tracestate: string | null;
  /** Since 1970. */
  readonly receivedAtMs: number;
  /** On the clock of `performance.now`. */
  readonly receivedMs: number;
}

/** The `traceparent` and `tracestate` of a message. */
interface TraceContext extends TraceHeaders {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
  /** Beside `sampled`, as far as they are known here. */
  readonly flags: number;
}

const SAMPLED = 1;
/** Level 2: the trace id is random. */
const RANDOM = 2;
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

/** Null: there is none, or it is invalid: then the trace begins anew, without the `tracestate`. */
export function readTraceContext(headers: readonly Header[]): TraceContext | null {
  const [traceparent, ...others] = valuesOf(headers, "traceparent");
  if (traceparent === undefined || others.length > 0) return null;
  const [, version, traceId = "", spanId = "", flags = "", rest] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || version === "ff" || (version === "00" && rest !== undefined)) return null;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return null;
  const bits = Number.parseInt(flags, 16);
  return {
    traceparent,
    tracestate: toTracestate(valuesOf(headers, "tracestate")),
    traceId,
    spanId,
    isSampled: (bits & SAMPLED) !== 0,
    flags: bits & RANDOM,
  };
}

function valuesOf(headers: readonly Header[], wanted: string): readonly string[] {
  const found = headers.filter(([name]) => name.length === wanted.length && name.toLowerCase() === wanted);
  return found.map(([, value]) => value.replaceAll(SURROUNDING_SPACE, ""));
}

const SURROUNDING_SPACE = /^[\t ]+|[\t ]+$/g;
const MAX_MEMBERS = 32;
const MEMBER =
  /^[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** Null: it is empty, or invalid. */
function toTracestate(values: readonly string[]): string | null {
  const members = values
    .flatMap((value) => value.split(","))
    .map((member) => member.replaceAll(SURROUNDING_SPACE, ""))
    .filter((member) => member !== "");
  const isValid = members.length <= MAX_MEMBERS && members.every((member) => MEMBER.test(member));
  return isValid && members.length > 0 ? members.join(",") : null;
}

export function formatTraceparent({
  traceId,
  spanId,
  flags,
}: {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}): string {
  return `00-${traceId}-${spanId}-0${flags}`;
}

/** Of the n-th request; 1 is the first. */
export function toTraceHeaders(trace: Trace, attempt: number): TraceHeaders {
  if (trace.kind === "unsampled") return trace.headers;
  const { traceId, spanId, flags, tracestate } = trace;
  const own = { traceId, spanId: toAttemptSpanId(spanId, attempt), flags: flags | SAMPLED };
  return { traceparent: formatTraceparent(own), tracestate };
}

/** The span of the n-th attempt: it has a number of its own without being remembered. */
export function toAttemptSpanId(spanId: string, attempt: number): string {
  const low = (Number.parseInt(spanId.slice(8), 16) + attempt) >>> 0;
  return spanId.slice(0, 8) + low.toString(16).padStart(8, "0");
}
