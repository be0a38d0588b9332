// The cases of the W3C's test suite for Trace Context, as far as they are about reading and writing the two headers.

import { describe, expect, test } from "bun:test";
import type { Header } from "#delivery/message.ts";
import {
  formatTraceparent,
  readTraceContext,
  type SampledTrace,
  toAttemptSpanId,
  toTraceHeaders,
} from "#delivery/trace.ts";

const TRACE = "12345678901234567890123456789012";
const SPAN = "1234567890123456";
const PARENT = `00-${TRACE}-${SPAN}-01`;

function read(headers: readonly Header[]) {
  const context = readTraceContext(headers);
  if (context === null) return null;
  const { traceId, spanId, isSampled, flags, tracestate } = context;
  return { traceId, spanId, isSampled, flags, tracestate };
}

const KNOWN = { traceId: TRACE, spanId: SPAN, isSampled: true, flags: 0, tracestate: null };

describe("readTraceContext()", () => {
  test.each<[string, readonly Header[], object]>([
    ["a valid one", [["traceparent", PARENT]], {}],
    ["a name in any case", [["TraceParent", PARENT]], {}],
    ["space around it", [["traceparent", ` \t${PARENT}\t `]], {}],
    ["a trace that is not sampled", [["traceparent", `00-${TRACE}-${SPAN}-00`]], { isSampled: false }],
    ["unknown flags", [["traceparent", `00-${TRACE}-${SPAN}-f8`]], { isSampled: false }],
    ["flags of which one is known", [["traceparent", `00-${TRACE}-${SPAN}-ff`]], { flags: 2 }],
    ["a random trace id", [["traceparent", `00-${TRACE}-${SPAN}-03`]], { flags: 2 }],
    ["a later version", [["traceparent", `cc-${TRACE}-${SPAN}-01`]], {}],
    ["a later version with more", [["traceparent", `cc-${TRACE}-${SPAN}-01-what-the-future-brings`]], {}],
  ])("readTraceContext() takes %s", (_what, headers, changes) => {
    expect(read(headers)).toEqual({ ...KNOWN, ...changes });
  });

  test.each<[string, readonly Header[]]>([
    ["no headers", []],
    ["no traceparent", [["tracestate", "foo=1"]]],
    ["an empty one", [["traceparent", ""]]],
    ["another name", [["trace-parent", PARENT]]],
    [
      "two",
      [
        ["traceparent", PARENT],
        ["Traceparent", PARENT],
      ],
    ],
    ["two in one", [["traceparent", `${PARENT},${PARENT}`]]],
    ["version ff", [["traceparent", `ff-${TRACE}-${SPAN}-01`]]],
    ["a version of one digit", [["traceparent", `0-${TRACE}-${SPAN}-01`]]],
    ["a version of three digits", [["traceparent", `000-${TRACE}-${SPAN}-01`]]],
    ["an illegal version", [["traceparent", `.0-${TRACE}-${SPAN}-01`]]],
    ["version 00 with more", [["traceparent", `${PARENT}-what-the-future-brings`]]],
    ["version 00 with a dash at its end", [["traceparent", `${PARENT}-`]]],
    ["a later version with more, without a dash", [["traceparent", `cc-${TRACE}-${SPAN}-01.what`]]],
    ["a trace id of zeros", [["traceparent", `00-${"0".repeat(32)}-${SPAN}-01`]]],
    ["a trace id in upper case", [["traceparent", `00-ABCDEF${TRACE.slice(6)}-${SPAN}-01`]]],
    ["a trace id with other characters", [["traceparent", `00-.${TRACE.slice(1)}-${SPAN}-01`]]],
    ["a trace id that is too long", [["traceparent", `00-${TRACE}3-${SPAN}-01`]]],
    ["a trace id that is too short", [["traceparent", `00-${TRACE.slice(1)}-${SPAN}-01`]]],
    ["a parent id of zeros", [["traceparent", `00-${TRACE}-${"0".repeat(16)}-01`]]],
    ["a parent id with other characters", [["traceparent", `00-${TRACE}-.${SPAN.slice(1)}-01`]]],
    ["a parent id that is too long", [["traceparent", `00-${TRACE}-${SPAN}7-01`]]],
    ["a parent id that is too short", [["traceparent", `00-${TRACE}-${SPAN.slice(1)}-01`]]],
    ["flags with other characters", [["traceparent", `00-${TRACE}-${SPAN}-.0`]]],
    ["flags that are too long", [["traceparent", `00-${TRACE}-${SPAN}-001`]]],
    ["flags that are too short", [["traceparent", `00-${TRACE}-${SPAN}-1`]]],
    ["a line break", [["traceparent", `${PARENT}\n`]]],
  ])("readTraceContext() begins anew with %s", (_what, headers) => {
    expect(read(headers)).toBeNull();
  });

  const long = (count: number) =>
    Array.from({ length: count }, (_, index) => `bar${index}=${index}`).join(",");
  test.each<[string, readonly string[], string | null]>([
    ["one", ["foo=1"], "foo=1"],
    ["an empty one", [""], null],
    ["two headers, in their order", ["foo=1", "bar=2"], "foo=1,bar=2"],
    ["an empty one of two", ["foo=1", ""], "foo=1"],
    ["empty members", ["foo=1,,bar=2,"], "foo=1,bar=2"],
    ["space around members", ["foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"],
    ["keys that are there twice", ["foo=1,foo=2"], "foo=1,foo=2"],
    [
      "all characters of keys",
      ["0123456789abcdefghijklmnopqrstuvwxyz_-*/=1"],
      "0123456789abcdefghijklmnopqrstuvwxyz_-*/=1",
    ],
    ["keys of several tenants", ["fw529a3039@dt=1"], "fw529a3039@dt=1"],
    ["values with space inside", ["foo=a b"], "foo=a b"],
    ["32 members", [long(32)], long(32)],
    ["33 members", [long(33)], null],
    ["a key of 256", [`${"z".repeat(256)}=1`], `${"z".repeat(256)}=1`],
    ["a key of 257", [`${"z".repeat(257)}=1`], null],
    ["a value of 256", [`foo=${"z".repeat(256)}`], `foo=${"z".repeat(256)}`],
    ["a value of 257", [`foo=${"z".repeat(257)}`], null],
    ["a key in upper case", ["FOO=1"], null],
    ["a key with a dot", ["foo.bar=1"], null],
    ["a key with space", ["foo =1"], null],
    ["a key that begins with a dash", ["-foo=1"], null],
    ["a member without a key", ["=1"], null],
    ["a member without a value", ["foo="], null],
    ["a member without a sign", ["foo"], null],
    ["a value with a sign", ["foo=bar=baz"], null],
    ["a value outside of ASCII", ["foo=é"], null],
    ["a value with a control character", ["foo=a\u0007b"], null],
  ])("readTraceContext() of a tracestate: %s", (_what, values, expected) => {
    const states = values.map((value, index): Header => [index === 0 ? "tracestate" : "TraceState", value]);
    expect(read([["traceparent", PARENT], ...states])).toEqual({ ...KNOWN, tracestate: expected });
  });
});

const SAMPLED: SampledTrace = {
  kind: "sampled",
  traceId: TRACE,
  spanId: SPAN,
  parentId: null,
  flags: 2,
  tracestate: "foo=1",
  receivedAtMs: 0,
  receivedMs: 0,
};

test("toTraceHeaders() names a span of its own for each attempt, and keeps flags and tracestate", () => {
  const ids = [1, 2, 3].map((attempt) => toAttemptSpanId(SPAN, attempt));
  expect(new Set([SPAN, ...ids]).size).toBe(4);
  expect(ids.every((id) => /^[0-9a-f]{16}$/.test(id))).toBe(true);
  expect(toTraceHeaders(SAMPLED, 2)).toEqual({
    traceparent: `00-${TRACE}-${ids[1]}-03`,
    tracestate: "foo=1",
  });
  expect(toAttemptSpanId("12345678ffffffff", 1)).toBe("1234567800000000");
});

test("toTraceHeaders() of a trace that is not sampled says the same for each attempt", () => {
  const headers = { traceparent: `cc-${TRACE}-${SPAN}-00-more`, tracestate: null };
  expect(toTraceHeaders({ kind: "unsampled", headers }, 7)).toBe(headers);
  expect(formatTraceparent({ traceId: TRACE, spanId: SPAN, flags: 0 })).toBe(`00-${TRACE}-${SPAN}-00`);
});
