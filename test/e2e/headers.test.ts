// What a receiver sees of a message, byte by byte: the headers in their layers, and nothing that a hostile publisher put there.

import { jetstreamManager, jetstream, type JetStreamManager } from "@nats-io/jetstream";
import { headers as createHeaders, type NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPublicKey, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";
import packageJson from "../../package.json" with { type: "json" };
import { RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { publishRaw, type RawReceiver, type RawRequest, startRawReceiver } from "../support/raw.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

const HMAC_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/** The seed and the public key. */
const ED25519_SECRET =
  "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

let stack: AsyncDisposableStack;
let nats: NatsServer;
let client: NatsConnection;
let manager: JetStreamManager;
let receiver: RawReceiver;
let requests: readonly RawRequest[];
let relay: RelayProcess;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  client = await nats.connect();
  manager = await jetstreamManager(client);
  await addStream(client);
  receiver = stack.use(await startRawReceiver());
  requests = receiver.requests;
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url.href}?tenant=a%20b`,
    qos: "AT_LEAST_ONCE",
    subscription: {
      retry: RETRY_ON_FAIL,
      method: "PUT",
      headers: [
        { name: "X-Own", value: "of the subscription" },
        { name: "X-Layer", value: "of the subscription" },
        { name: "authorization", value: "Bearer of-the-headers" },
      ],
      auth: { type: "basic", basic: { username: "Aladdin", password: "open sesame" } },
      signature: { secrets: [HMAC_SECRET, ED25519_SECRET] },
    },
  });
  relay = stack.use(await startRelay({ config }));
  await relay.logged("Consuming");
});
afterAll(() => stack.disposeAsync());

/** Those that the connection makes; the order of the others is Relay's. */
const FRAMING: ReadonlySet<string> = new Set(["host", "connection", "content-length"]);

const ABOUT_MESSAGE = [
  "Nats-Stream",
  "Nats-Subject",
  "Nats-Sequence",
  "Nats-Time-Stamp",
  "webhook-id",
  "webhook-timestamp",
  "webhook-signature",
];
const OF_SUBSCRIPTION = ["X-Own", "X-Layer", "Authorization"];

/** It may hold any word by chance. */
function withoutSignature(head: string): string {
  return head.replace(/^webhook-signature: .*$/im, "");
}

function fieldsOf({ headers }: RawRequest): readonly (readonly [string, string])[] {
  return headers.filter(([name]) => !FRAMING.has(name.toLowerCase()));
}

function valuesOf({ headers }: RawRequest, name: string): readonly string[] {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

/** Throws unless both keys signed what was received. */
function verifySignature({ headers, body }: RawRequest): void {
  const fields = Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]));
  new Webhook(HMAC_SECRET).verify(body, fields, { jsonParse: false });
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = fields;
  const x = Buffer.from(ED25519_SECRET.replace("whsk_", ""), "base64").subarray(32).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const signature = Buffer.from(/ v1a,(\S+)$/.exec(signatures)?.[1] ?? "", "base64");
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  if (!verify(null, content, key, signature)) throw new Error(`Wrong signature: ${signatures}`);
}

/** What only the stream knows of its message: the time as the server writes it, and in base 36. */
async function timeOf(sequence: number): Promise<{ text: string; token: string }> {
  const message = await manager.streams.getMessage("ORDERS", { seq: sequence });
  const text = message?.timestamp ?? "";
  const [seconds = "", fraction = ""] = text.replace("Z", "").split(".");
  const nanos = BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, "0"));
  return { text, token: nanos.toString(36) };
}

async function nextRequest(count: number): Promise<RawRequest> {
  return eventually(() => requests[count], { what: `request ${count + 1}` });
}

test("a message without headers: the defaults, what Relay says of it, the subscription's own, in that order", async () => {
  const before = requests.length;
  const body = new Uint8Array(Array.from({ length: 256 }, (_, byte) => byte));
  const startedAt = Math.floor(Date.now() / 1000);
  const { seq } = await jetstream(client).publish("orders.plain", body);
  const request = await nextRequest(before);
  const { text, token } = await timeOf(seq);
  const [stamp = ""] = valuesOf(request, "webhook-timestamp");
  const [signature = ""] = valuesOf(request, "webhook-signature");
  expect(request.requestLine).toBe("PUT /callback?tenant=a%20b HTTP/1.1");
  expect(fieldsOf(request)).toEqual([
    ["User-Agent", `relay/${packageJson.version}`],
    ["Content-Type", "application/json"],
    ["Nats-Stream", "ORDERS"],
    ["Nats-Subject", "orders.plain"],
    ["Nats-Sequence", String(seq)],
    ["Nats-Time-Stamp", text],
    ["webhook-id", `msg_ORDERS_${seq}_${token}`],
    ["webhook-timestamp", stamp],
    ["webhook-signature", signature],
    ["X-Own", "of the subscription"],
    ["X-Layer", "of the subscription"],
    ["Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
  ]);
  expect(Number(stamp)).toBeGreaterThanOrEqual(startedAt);
  expect(Number(stamp)).toBeLessThanOrEqual(Date.now() / 1000);
  expect(valuesOf(request, "host")).toEqual([`127.0.0.1:${receiver.port}`]);
  expect(valuesOf(request, "content-length")).toEqual(["256"]);
  expect([...request.body]).toEqual([...body]);
});

test("a message's own headers come next to the defaults, its type instead of the default, the subscription's win", async () => {
  const before = requests.length;
  const own = createHeaders();
  own.append("X-Tenant", "a");
  own.append("content-type", "text/csv; charset=utf-8");
  own.append("X-Twice", "1");
  own.append("X-Twice", "2");
  own.append("x-layer", "of the message");
  own.append("Nats-Msg-Id", "dedup-1");
  await jetstream(client).publish("orders.own", "a,b\n", { headers: own });
  const request = await nextRequest(before);
  const names = fieldsOf(request).map(([name]) => name);
  expect(names.slice(0, 4)).toEqual(["User-Agent", "X-Tenant", "content-type", "X-Twice"]);
  expect(names.slice(4)).toEqual([...ABOUT_MESSAGE, ...OF_SUBSCRIPTION]);
  expect(valuesOf(request, "content-type")).toEqual(["text/csv; charset=utf-8"]);
  expect(valuesOf(request, "x-twice")).toEqual(["1, 2"]);
  expect(valuesOf(request, "x-layer")).toEqual(["of the subscription"]);
});

test("the webhook-id is the same on every attempt, the timestamp is not", async () => {
  const before = requests.length;
  receiver.answerNext(500, 503, 200);
  const { seq } = await jetstream(client).publish("orders.flaky", "{}");
  await nextRequest(before + 2);
  const attempts = requests.slice(before);
  const { token } = await timeOf(seq);
  const ids = attempts.flatMap((request) => valuesOf(request, "webhook-id"));
  expect(ids).toEqual(Array.from({ length: 3 }, () => `msg_ORDERS_${seq}_${token}`));
  const stamps = attempts.flatMap((request) => valuesOf(request, "webhook-timestamp"));
  expect(Number(stamps[2])).toBeGreaterThan(Number(stamps[0]));
  expect(attempts.map(({ body }) => body.toString())).toEqual(["{}", "{}", "{}"]);
  const signatures = attempts.flatMap((request) => valuesOf(request, "webhook-signature"));
  expect(signatures[2]).not.toBe(signatures[0] ?? "");
  for (const attempt of attempts) expect(() => verifySignature(attempt)).not.toThrow();
});

test("hostile headers never reach it: no line of theirs, no host, no length, no credential, no name of Relay's", async () => {
  const before = requests.length;
  const droppedBefore = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  const hostile = [
    "X-Good: kept",
    "X-Null: a\0b",
    "X-Wide: \xc4\x80",
    "X-Bad(Name): 1",
    "Host: evil.example",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Connection: keep-alive, X-Hop",
    "X-Hop: 1",
    "Keep-Alive: timeout=1",
    "Upgrade: h2c",
    "TE: trailers",
    "Trailer: X-Late",
    "Expect: 100-continue",
    "Authorization: Bearer stolen",
    "Cookie: session=stolen",
    "Proxy-Authorization: Basic stolen",
    "User-Agent: evil",
    "Nats-Subject: evil",
    "nats-sequence: 999",
    "Relay-Reason: evil",
    "webhook-id: evil",
    "WEBHOOK-SIGNATURE: v1,evil",
  ];
  await publishRaw(nats, { subject: "orders.hostile", headerLines: hostile, body: "{}" });
  const request = await nextRequest(before);
  const { headers, head } = request;
  expect(fieldsOf(request).map(([name]) => name)).toEqual([
    "User-Agent",
    "Content-Type",
    "X-Good",
    ...ABOUT_MESSAGE,
    ...OF_SUBSCRIPTION,
  ]);
  expect(withoutSignature(head)).not.toMatch(/evil|stolen|Injected|: 999\r|chunked|: h2c/i);
  expect(head.replaceAll("\r\n", "")).toMatch(/^[\t\x20-\x7e]*$/);
  expect(headers.filter(([name]) => name.toLowerCase() === "host")).toHaveLength(1);
  expect(valuesOf(request, "content-length")).toEqual(["2"]);
  expect(request.body.toString()).toBe("{}");
  const dropped = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  expect(dropped - droppedBefore).toBe(3);
});

test.each([
  ["a space in its name", "a b: 1"],
  ["a space behind its name", "Host : evil.example"],
  ["no colon", "evil"],
  ["a line feed", "X-Feed: a\nX-Injected: by-line-feed\nHost: evil.example"],
  ["a carriage return", "X-Return: a\rX-Injected: by-return"],
  ["bytes that are no UTF-8", "X-Bytes: evil\xff"],
])("a header that cannot be read (%s) costs no other header, and not the message", async (_, line) => {
  const before = requests.length;
  const droppedBefore = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  await publishRaw(nats, {
    subject: "orders.unreadable",
    headerLines: ["X-Before: kept", line, "Nats-Sequence: 999", "X-After: kept"],
    body: "{}",
  });
  const request = await nextRequest(before);
  expect(fieldsOf(request).map(([name]) => name)).toEqual([
    "User-Agent",
    "Content-Type",
    "X-Before",
    "X-After",
    ...ABOUT_MESSAGE,
    ...OF_SUBSCRIPTION,
  ]);
  expect(withoutSignature(request.head)).not.toMatch(/Injected|evil|: 999\r/);
  expect(request.head.replaceAll("\r\n", "")).toMatch(/^[\t\x20-\x7e]*$/);
  expect(valuesOf(request, "nats-subject")).toEqual(["orders.unreadable"]);
  expect(request.body.toString()).toBe("{}");
  expect(() => verifySignature(request)).not.toThrow();
  const dropped = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  expect(dropped - droppedBefore).toBe(1);
});

test("a subject in any script is percent-encoded", async () => {
  const before = requests.length;
  await publishRaw(nats, { subject: "orders.50%.\u00fc\u20ac", headerLines: [], body: "{}" });
  const request = await nextRequest(before);
  expect(valuesOf(request, "nats-subject")).toEqual(["orders.50%25.%C3%BC%E2%82%AC"]);
  expect(request.head.replaceAll("\r\n", "")).toMatch(/^[\t\x20-\x7e]*$/);
});

test("thousands of headers are read at once: the first 16 KiB are sent, the rest is dropped and counted", async () => {
  const before = requests.length;
  const droppedBefore = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  const headerLines = Array.from({ length: 5000 }, (_, index) => `X-${index}: 1`);
  await publishRaw(nats, { subject: "orders.many", headerLines, body: "{}" });
  const request = await nextRequest(before);
  const sent = fieldsOf(request).filter(([name]) => /^X-\d+$/.test(name));
  expect(sent.map(([name]) => name)).toEqual(
    headerLines.slice(0, sent.length).map((line) => line.slice(0, -3)),
  );
  expect(sent.length).toBeGreaterThan(1500);
  const dropped = await readMetric(relay, "relay_dropped_headers_total", { subscription: "sub" });
  expect(dropped - droppedBefore).toBe(5000 - sent.length);
});

test("more than 16 KiB of headers: what fits is sent, the rest is dropped and counted", async () => {
  const before = requests.length;
  const own = createHeaders();
  own.append("X-Fits", "x".repeat(10_000));
  own.append("X-Too-Much", "x".repeat(10_000));
  own.append("X-Small", "1");
  await jetstream(client).publish("orders.large", "{}", { headers: own });
  const request = await nextRequest(before);
  expect(
    fieldsOf(request)
      .map(([name]) => name)
      .slice(2, 4),
  ).toEqual(["X-Fits", "X-Small"]);
  expect(valuesOf(request, "x-too-much")).toEqual([]);
});
