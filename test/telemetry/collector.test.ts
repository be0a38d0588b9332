// Collectors that are well, away, slow, redirecting, overloaded, or hostile: how each answer is understood.

import { expect, test } from "bun:test";
import type { Socket } from "node:net";
import type { Header } from "#delivery/message.ts";
import { openCollector } from "#telemetry/collector.ts";
import { flood, OK } from "../support/misbehaviours.ts";
import { freePort } from "../support/nats-server.ts";
import { headerOf, type Respond, startReceiver, startTcpReceiver } from "../support/receiver.ts";

async function send(origin: string, { headers = [] as readonly Header[], timeoutMs = 5000 } = {}) {
  const collector = openCollector({ url: new URL("/v1/traces", origin), headers }, { timeoutMs });
  try {
    return await collector.send('{"resourceSpans":[]}', 3);
  } finally {
    collector.close();
  }
}

async function answered(respond: Respond) {
  await using receiver = await startReceiver(respond);
  return { result: await send(receiver.url.origin), receiver };
}

test("send() posts JSON with the headers of the config, which win over Relay's own", async () => {
  await using receiver = await startReceiver(() => ({ status: 200, body: "{}" }));
  const headers = [
    ["Authorization", "Bearer 0123456789"],
    ["user-agent", "mine"],
    ["Content-Type", "text/plain"],
  ] as const;
  expect(await send(receiver.url.origin, { headers })).toMatchObject({ kind: "accepted", rejected: 0 });
  const [request] = receiver.requests;
  if (request === undefined) throw new Error("There was no request");
  expect(request).toMatchObject({ method: "POST", path: "/v1/traces" });
  expect(request.body.toString()).toBe('{"resourceSpans":[]}');
  expect(headerOf(request, "authorization")).toBe("Bearer 0123456789");
  const names = request.headers.map(([name]) => name.toLowerCase());
  expect(names.filter((name) => name === "user-agent" || name === "content-type")).toHaveLength(2);
  expect(headerOf(request, "content-type")).toBe("application/json");
});

test("send() keeps its connection", async () => {
  await using receiver = await startReceiver(() => ({ status: 200, body: "{}" }));
  const collector = openCollector({ url: receiver.url, headers: [] });
  for (let turn = 0; turn < 3; turn += 1) await collector.send("{}", 1);
  expect(receiver.connections).toBe(1);
  collector.close();
  expect((await collector.send("{}", 1)).kind).toBe("unavailable");
});

test.each<[string, string, number]>([
  ["nothing", "", 0],
  ["no JSON", "<html>", 0],
  ["null", "null", 0],
  ["a list", "[1]", 0],
  ["no partial success", '{"partialSuccess":null}', 0],
  ["a number", '{"partialSuccess":{"rejectedSpans":2}}', 2],
  ["a number in a string", '{"partialSuccess":{"rejectedSpans":"2"}}', 2],
  ["more than there are", '{"partialSuccess":{"rejectedSpans":"1e99"}}', 3],
  ["less than none", '{"partialSuccess":{"rejectedSpans":"-5"}}', 0],
  ["what is no number", '{"partialSuccess":{"rejectedSpans":{"a":1}}}', 0],
])("send() takes a 200 with %s", async (_what, body, rejected) => {
  const { result } = await answered(() => ({ status: 200, body }));
  expect(result).toMatchObject({ kind: "accepted", rejected });
});

test("send() tells why spans were rejected, on one line, short, and without the secrets of the config", async () => {
  await using receiver = await startReceiver(() => ({
    status: 200,
    body: JSON.stringify({
      partialSuccess: { rejectedSpans: 1, errorMessage: `no quota\n for 0123456789 ${"x".repeat(9999)}` },
    }),
  }));
  const headers = [["Authorization", "Bearer 0123456789"]] as const;
  const result = await send(receiver.url.origin, { headers });
  if (result.kind !== "accepted") throw new Error(result.kind);
  expect(result.reason).toStartWith(`${receiver.url.host} rejected 1 spans: no quota\\n for *** xxx`);
  expect(result.reason.length).toBeLessThan(300);
});

test.each([301, 307, 400, 401, 404, 413, 500, 501])(
  "send() refused by %d is refused for good",
  async (status) => {
    const { result, receiver } = await answered(() => ({
      status,
      headers: { Location: "http://127.0.0.1:1/" },
    }));
    expect(result).toEqual({ kind: "refused", reason: `${receiver.url.host} answered ${status}` });
    expect(receiver.requests).toHaveLength(1);
  },
);

test.each<[number, string | null, number | null]>([
  [429, "3", 3000],
  [503, "120", 120_000],
  [502, null, null],
  [504, "soon", null],
])("send() answered %d with Retry-After %p is to be repeated", async (status, retryAfter, retryAfterMs) => {
  const headers = retryAfter === null ? {} : { "Retry-After": retryAfter };
  const { result } = await answered(() => ({ status, headers }));
  expect(result).toMatchObject({ kind: "unavailable", retryAfterMs });
});

test("send() to nobody, or to a host that nobody knows, is to be repeated", async () => {
  const port = await freePort();
  expect(await send(`http://127.0.0.1:${port}`)).toEqual({
    kind: "unavailable",
    reason: `Cannot reach 127.0.0.1:${port}: connection refused`,
    retryAfterMs: null,
  });
  expect(await send("http://nobody.invalid")).toMatchObject({ kind: "unavailable" });
});

test("send() takes an endless answer for the 200 that it begins with", async () => {
  const { on } = flood(OK) as { on: (socket: Socket) => void };
  await using receiver = await startTcpReceiver((socket) => socket.once("data", () => on(socket)));
  expect(await send(receiver.url.origin)).toMatchObject({ kind: "accepted", rejected: 0 });
});

test("send() ends within its time limit where nobody answers, or the answer drips", async () => {
  await using silent = await startTcpReceiver(() => {});
  await using dripping = await startTcpReceiver((socket) => {
    socket.write(`${OK}Content-Length: 1000\r\n\r\n`);
    const timer = setInterval(() => socket.write(" "), 20);
    socket.on("close", () => clearInterval(timer));
  });
  for (const { url } of [silent, dripping]) {
    const result = await send(url.origin, { timeoutMs: 100 });
    expect(result).toMatchObject({
      kind: "unavailable",
      reason: `No complete answer from ${url.host} within 100 ms`,
    });
  }
});

test("send() is not confused by what is not HTTP", async () => {
  await using receiver = await startTcpReceiver((socket) =>
    socket.once("data", () => socket.end("SSH-2.0\r\n")),
  );
  expect(await send(receiver.url.origin)).toMatchObject({ kind: "unavailable" });
});
