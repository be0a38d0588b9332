// CloudEvents in and out, read by the parser of the CNCF's own SDK.

import { CloudEvent, HTTP } from "cloudevents";
import { expect, test } from "bun:test";
import { createRequestBuilder } from "#callback/request.ts";
import { readHeaderLines } from "#callback/request-writer.ts";
import type { Message } from "#delivery/message.ts";
import { type ShapeSettings, UNSHAPED } from "#delivery/shape.ts";
import { createShaper } from "#shape/shaper.ts";
import { toMessage } from "../callback/setup.ts";
import { toCallbackSettings } from "../support/subscription.ts";

const NOW = new Date("2026-03-01T12:00:00Z");
const NANOS = 1_772_000_000_123_456_789n;
const OPTIONS = { attempt: 1, signal: new AbortController().signal };
const FORMATS = ["cloudevents-binary", "cloudevents-structured"] as const;

/** The request as the callback gets it. */
async function request(settings: Partial<ShapeSettings>, message: Message) {
  const about = { subscription: "a", application: null, metadata: {} };
  const shaping = await createShaper({ ...UNSHAPED, ...settings }, about).shape?.(message, OPTIONS);
  if (shaping?.kind !== "shaped") throw new Error(shaping?.kind === "failed" ? shaping.error : "not shaped");
  const settingsOf = toCallbackSettings(new URL("http://127.0.0.1/"));
  const flat = readHeaderLines(
    createRequestBuilder(settingsOf, "1").build(message, NOW, { parts: shaping.parts }).lines,
  );
  const headers: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) headers[(flat[at] ?? "").toLowerCase()] = flat[at + 1] ?? "";
  return { headers, body: new TextDecoder().decode(shaping.parts.body) };
}

async function parse(settings: Partial<ShapeSettings>, message: Message): Promise<CloudEvent<unknown>> {
  const event = HTTP.toEvent(await request(settings, message)) as CloudEvent<unknown>;
  expect(event.validate()).toBe(true);
  return event;
}

function message(body: string, headers: Message["headers"] = []): Message {
  return toMessage(body, {
    stream: "ORDERS",
    subject: "orders.created",
    sequence: 7,
    timestampNanos: NANOS,
    headers,
  });
}

test.each(FORMATS)("%s: the SDK reads a message as an event", async (format) => {
  const event = await parse({ format }, message('{"id":1}'));
  expect(event).toMatchObject({
    specversion: "1.0",
    id: `msg_ORDERS_7_${NANOS.toString(36)}`,
    source: "/ORDERS",
    type: "orders.created",
    datacontenttype: "application/json",
    data: { id: 1 },
  });
  expect(event.time?.slice(0, 23)).toBe(new Date(Number(NANOS / 1_000_000n)).toISOString().slice(0, 23));
});

test.each(FORMATS)("%s: source and type are texts or expressions", async (format) => {
  const settings = { format, source: "https://shop.example/a?b#c", type: '="com.example." & body.kind' };
  const event = await parse(settings, message('{"kind":"paid"}'));
  expect([event.source, event.type]).toEqual(["https://shop.example/a?b#c", "com.example.paid"]);
});

test.each(FORMATS)("%s: the data is what `body` yields", async (format) => {
  const event = await parse({ format, body: '{ "n": body.id + 1 }' }, message('{"id":1}'));
  expect([event.data, event.datacontenttype]).toEqual([{ n: 2 }, "application/json"]);
});

test.each(FORMATS)("%s: text and bytes keep their type", async (format) => {
  const text = await parse({ format }, message("plain", [["Content-Type", "text/plain"]]));
  expect([String(text.data), text.datacontenttype]).toEqual(["plain", "text/plain"]);
});

test("cloudevents-structured: bytes that are no text are base64", async () => {
  const raw = { ...message("", [["Content-Type", "image/png"]]), body: new Uint8Array([255, 0, 1]) };
  const { body } = await request({ format: "cloudevents-structured" }, raw);
  expect(JSON.parse(body)).toMatchObject({ data_base64: "/wAB", datacontenttype: "image/png" });
});

test("cloudevents-structured: data keeps every digit", async () => {
  const { body } = await request(
    { format: "cloudevents-structured" },
    message('{"n":12345678901234567890.10}'),
  );
  expect(body).toContain('"data":{"n":12345678901234567890.10}');
});

const EVENT = {
  specversion: "1.0",
  id: "e1",
  source: "/their",
  type: "their.type",
  tenant: "xy",
  time: "2026-01-01T00:00:00Z",
};
const BINARY: Message["headers"] = [
  ["ce-specversion", "1.0"],
  ["CE-ID", "e1"],
  ["ce-source", "/their"],
  ["ce-type", "their.type"],
  ["ce-tenant", "xy"],
  ["ce-time", EVENT.time],
  ["content-type", "application/json"],
];
const STRUCTURED: Message["headers"] = [["Content-Type", "application/cloudevents+json; charset=UTF-8"]];

test.each(
  FORMATS.flatMap((format) => [
    [format, "binary", message('{"a":1}', BINARY)] as const,
    [format, "structured", message(JSON.stringify({ ...EVENT, data: { a: 1 } }), STRUCTURED)] as const,
    [
      format,
      "structured, base64",
      message(
        JSON.stringify({ ...EVENT, datacontenttype: "application/json", data_base64: btoa('{"a":1}') }),
        STRUCTURED,
      ),
    ] as const,
  ]),
)("%s: a message that is an event already (%s) keeps its attributes", async (format, _mode, sent) => {
  const event = await parse({ format, source: "/mine", type: "mine" }, sent);
  expect(event).toMatchObject({ ...EVENT, time: new Date(EVENT.time).toISOString(), data: { a: 1 } });
});

test.each(FORMATS)(
  "%s: what an event of the SDK lacks is filled in, and one that cannot be read is data",
  async (format) => {
    const lacking = await parse(
      { format },
      message("{}", [
        ["ce-specversion", "1.0"],
        ["ce-type", "t"],
      ]),
    );
    expect([lacking.type, lacking.source]).toEqual(["t", "/ORDERS"]);
    const broken = await parse({ format: "cloudevents-structured" }, message("no JSON", STRUCTURED));
    expect(broken.type).toBe("orders.created");
  },
);

test("an event that the SDK wrote comes out as it went in", async () => {
  const event = new CloudEvent({
    id: "1",
    source: "/s",
    type: "t",
    data: { a: [1] },
    subject: "s",
    ext: "e",
  });
  for (const written of [HTTP.binary(event), HTTP.structured(event)]) {
    const sent = message(
      String(written.body),
      Object.entries(written.headers).map(([name, value]) => [name, String(value)] as const),
    );
    for (const format of FORMATS)
      expect(await parse({ format }, sent)).toMatchObject({
        id: "1",
        source: "/s",
        type: "t",
        subject: "s",
        ext: "e",
        data: { a: [1] },
      });
  }
});

test("attributes are percent-encoded in headers, both ways, and a source is a URI reference", async () => {
  const encoded = message("{}", [
    ["ce-specversion", "1.0"],
    ["ce-id", "a%20%25%22%C3%A4"],
  ]);
  const { body } = await request({ format: "cloudevents-structured", source: "/w\u00f6rk" }, encoded);
  expect(JSON.parse(body)).toMatchObject({ id: 'a %"\u00e4', source: "/w%C3%B6rk" });
  const { headers } = await request({ format: "cloudevents-binary" }, encoded);
  expect(headers["ce-id"]).toBe("a%20%25%22%C3%A4");
});
