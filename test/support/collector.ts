// A collector of OpenTelemetry for tests: takes OTLP over HTTP in JSON, as strictly as the protocol's own decoders do.

import * as v from "valibot";
import { type ReceivedRequest, type Receiver, type Respond, startReceiver } from "./receiver.ts";

const value = v.union([
  v.strictObject({ stringValue: v.string() }),
  v.strictObject({ intValue: v.pipe(v.string(), v.regex(/^-?\d+$/)) }),
]);
const attributes = v.array(v.strictObject({ key: v.pipe(v.string(), v.minLength(1)), value }));
const spanId = v.pipe(v.string(), v.regex(/^(?!0{16})[0-9a-f]{16}$/));
const nanos = v.pipe(v.string(), v.regex(/^\d{19}$/));

const spanSchema = v.strictObject({
  traceId: v.pipe(v.string(), v.regex(/^(?!0{32})[0-9a-f]{32}$/)),
  spanId,
  traceState: v.optional(v.string()),
  parentSpanId: v.optional(spanId),
  flags: v.pipe(v.number(), v.integer()),
  name: v.pipe(v.string(), v.minLength(1)),
  kind: v.picklist([1, 2, 3, 4, 5]),
  startTimeUnixNano: nanos,
  endTimeUnixNano: nanos,
  attributes,
  status: v.optional(v.strictObject({ code: v.picklist([0, 1, 2]), message: v.optional(v.string()) })),
});

const documentSchema = v.strictObject({
  resourceSpans: v.array(
    v.strictObject({
      resource: v.strictObject({ attributes }),
      scopeSpans: v.array(
        v.strictObject({
          scope: v.strictObject({ name: v.string(), version: v.string() }),
          spans: v.array(spanSchema),
        }),
      ),
    }),
  ),
});

export interface CollectedSpan extends Omit<v.InferOutput<typeof spanSchema>, "attributes"> {
  readonly attributes: Readonly<Record<string, string | number>>;
  readonly resource: Readonly<Record<string, string | number>>;
}

export interface TestCollector extends Receiver {
  readonly endpoint: string;
  /** Of all requests, whatever they were answered. Throws if one is not OTLP. */
  spans: () => readonly CollectedSpan[];
}

export async function startCollector(
  respond: Respond = () => ({ status: 200, body: "{}" }),
): Promise<TestCollector> {
  const receiver = await startReceiver(respond);
  return Object.assign(receiver, {
    endpoint: receiver.url.origin,
    spans: () => receiver.requests.flatMap(spansOf),
  });
}

function spansOf({ path, method, body }: ReceivedRequest): readonly CollectedSpan[] {
  if (path !== "/v1/traces" || method !== "POST") throw new Error(`Not OTLP: ${method} ${path}`);
  return parseSpans(body.toString());
}

/** Throws if it is not OTLP. */
export function parseSpans(text: string): readonly CollectedSpan[] {
  const { resourceSpans } = v.parse(documentSchema, JSON.parse(text));
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        attributes: toRecord(span.attributes),
        resource: toRecord(resource.attributes),
      })),
    ),
  );
}

function toRecord(list: v.InferOutput<typeof attributes>): Readonly<Record<string, string | number>> {
  const names = list.map(({ key }) => key);
  if (new Set(names).size !== names.length) throw new Error(`An attribute is there twice: ${names.join()}`);
  return Object.fromEntries(
    list.map(({ key, value: one }) => [key, "intValue" in one ? Number(one.intValue) : one.stringValue]),
  );
}
