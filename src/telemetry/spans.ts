// Encodes the span of a message and the spans of its attempts as OTLP JSON, by OpenTelemetry's semantic conventions. PURE.

import { toWebhookId } from "#delivery/message.ts";
import { describeOutcome, type Failure, type Outcome, statusOf } from "#delivery/outcome.ts";
import { durableName, type Subscription } from "#delivery/subscription.ts";
import { type SampledTrace, toAttemptSpanId } from "#delivery/trace.ts";
import type { Attempted, Settled } from "#pipeline/observer.ts";

/** Where the messages come from. */
export interface Broker {
  /** Host and port; null: not connected. */
  readonly server: string | null;
  /** The name of the connection. */
  readonly clientName: string;
}

type Value = string | number | null | undefined;
type Attributes = Readonly<Record<string, Value>>;

interface Span {
  readonly name: string;
  readonly kind: number;
  readonly trace: SampledTrace;
  readonly spanId: string;
  readonly parentId: string | null;
  /** The parent is a span of another process. */
  readonly isRemote: boolean;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Attributes;
  readonly failure: Failure | null;
}

const KIND_CLIENT = 3;
const KIND_CONSUMER = 5;
const STATUS_ERROR = 2;
const SAMPLED = 1;
const KNOWS_IF_REMOTE = 0x1_00;
const IS_REMOTE = 0x2_00;
/** Of one value: subjects and paths are written by others. */
const MAX_VALUE = 1024;

/** The request that carries the spans, around them. */
export function toDocument(
  spans: readonly string[],
  { resource, version }: { readonly resource: Attributes; readonly version: string },
): string {
  const scope = JSON.stringify({ name: "relay", version });
  const about = JSON.stringify({ attributes: toAttributes(resource) });
  return `{"resourceSpans":[{"resource":${about},"scopeSpans":[{"scope":${scope},"spans":[${spans.join(",")}]}]}]}`;
}

/** From the arrival of the message to its ending. `clockMs`: now, on the clock of `performance.now`. */
export function toMessageSpan(
  trace: SampledTrace,
  { subscription, message, attempts, ending }: Settled,
  { broker: { server, clientName }, clockMs }: { readonly broker: Broker; readonly clockMs: number },
): string {
  const template = templateOf(subscription);
  const failure = "failure" in ending ? ending.failure : null;
  return encode({
    name: `process ${template ?? message.stream}`,
    kind: KIND_CONSUMER,
    trace,
    spanId: trace.spanId,
    parentId: trace.parentId,
    isRemote: true,
    startMs: trace.receivedAtMs,
    endMs: trace.receivedAtMs + clockMs - trace.receivedMs,
    attributes: {
      "messaging.system": "nats",
      "messaging.operation.name": "process",
      "messaging.operation.type": "process",
      "messaging.destination.name": message.subject,
      "messaging.destination.template": template,
      "messaging.consumer.group.name": durableName(subscription.id),
      "messaging.message.id": toWebhookId(message),
      "messaging.client.id": clientName,
      ...(server === null ? {} : toBroker(server)),
      "relay.stream": message.stream,
      "relay.sequence": message.sequence,
      "relay.subscription": subscription.id,
      "relay.application": subscription.application,
      "relay.attempts": attempts,
      "relay.ending": ending.kind,
    },
    failure,
  });
}

/** The channel, if it is one: the subject may hold ids. */
function templateOf({ source: { filterSubjects } }: Subscription): string | null {
  return filterSubjects.length === 1 ? (filterSubjects[0] ?? null) : null;
}

export function toAttemptSpan(trace: SampledTrace, { subscription, attempt, exchange }: Attempted): string {
  const { outcome, request, startedAt, durationMs, resends } = exchange;
  const { url } = subscription.callback;
  const startMs = startedAt.getTime();
  return encode({
    name: request.method,
    kind: KIND_CLIENT,
    trace,
    spanId: toAttemptSpanId(trace.spanId, attempt),
    parentId: trace.spanId,
    isRemote: false,
    startMs,
    endMs: startMs + durationMs,
    attributes: {
      "http.request.method": request.method,
      "http.request.resend_count": attempt - 1 + resends || null,
      "http.response.status_code": statusOf(outcome) || null,
      "network.protocol.version": "1.1",
      ...toServer(url),
      "url.full": request.url,
    },
    failure: outcome.kind === "delivered" ? null : outcome,
  });
}

function toServer({ hostname, port, protocol }: URL): Attributes {
  const defaultPort = protocol === "https:" ? 443 : 80;
  return {
    "server.address": withoutBrackets(hostname),
    "server.port": port === "" ? defaultPort : Number(port),
  };
}

function toBroker(server: string): Attributes {
  const colon = server.lastIndexOf(":");
  const port = Number(server.slice(colon + 1));
  return { "server.address": withoutBrackets(server.slice(0, colon)), "server.port": port || null };
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/u, "$1");
}

function encode(span: Span): string {
  const { trace, failure, parentId } = span;
  const attributes = { ...span.attributes, "error.type": failure === null ? null : toErrorType(failure) };
  const remote = KNOWS_IF_REMOTE | (span.isRemote && parentId !== null ? IS_REMOTE : 0);
  return JSON.stringify({
    traceId: trace.traceId,
    spanId: span.spanId,
    ...(trace.tracestate === null ? {} : { traceState: trace.tracestate }),
    ...(parentId === null ? {} : { parentSpanId: parentId }),
    flags: remote | trace.flags | SAMPLED,
    name: cut(span.name),
    kind: span.kind,
    startTimeUnixNano: toNanos(span.startMs),
    endTimeUnixNano: toNanos(Math.max(span.startMs, span.endMs)),
    attributes: toAttributes(attributes),
    ...(failure === null ? {} : { status: toStatus(failure) }),
  });
}

/** A status says all of an answer; what an expression says may hold some of the message. */
function toStatus(failure: Failure): object {
  const isTold = failure.kind === "exception" || failure.kind === "expired";
  return { code: STATUS_ERROR, ...(isTold ? { message: cut(describeOutcome(failure)) } : {}) };
}

function toErrorType(failure: Exclude<Outcome, { kind: "delivered" }> | Failure): string {
  if (failure.kind === "exception") return failure.code;
  return "status" in failure ? String(failure.status) : failure.kind;
}

/** Microseconds are as exact as a clock in milliseconds with a fraction can be. */
function toNanos(ms: number): string {
  return `${Math.round(ms * 1000)}000`;
}

/** Null and undefined are left out. */
function toAttributes(values: Attributes): readonly object[] {
  return Object.entries(values).flatMap(([key, value]) =>
    value === null || value === undefined ? [] : [{ key, value: toValue(value) }],
  );
}

function toValue(value: string | number): object {
  return typeof value === "string" ? { stringValue: cut(value) } : { intValue: String(value) };
}

function cut(text: string): string {
  return text.slice(0, MAX_VALUE).toWellFormed();
}
