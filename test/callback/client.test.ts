// A callback that answers: what it gets, and what its answer means.

import { describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";

import type { Outcome } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { type Answer, headerOf, startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { NEVER, openTestCallback, toMessage } from "./setup.ts";

const OPTIONS = { mayResend: true, signal: NEVER };

describe("send()", () => {
  test("send() delivers the body untouched, by the method and to the path and query of the URL", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(new URL("/in/box?key=a%20b", receiver.url), { method: "PUT" });
    const body = Uint8Array.from({ length: 1000 }, (_, index) => index % 256);
    const exchange = await callback.send(toMessage(body), OPTIONS);
    expect(exchange).toMatchObject({
      outcome: { kind: "delivered", status: 200 },
      sent: true,
      aborted: false,
      resends: 0,
      droppedHeaders: 0,
      request: { method: "PUT", url: receiver.url.origin },
    });
    expect(exchange.durationMs).toBeGreaterThan(0);
    const [request] = receiver.requests;
    expect(request).toMatchObject({ method: "PUT", path: "/in/box?key=a%20b" });
    expect(request?.body.equals(body)).toBe(true);
    expect(request && headerOf(request, "host")).toBe(`127.0.0.1:${receiver.port}`);
    expect(request?.headers).toContainEqual(["content-length", "1000"]);
  });

  test("send() sends the headers that the exchange shows", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url, { headers: [["X-Own", "caf\u00e9"]] });
    const message = toMessage("x", {
      headers: [
        ["X-Trace", "1"],
        ["X-Bad", "\u20ac"],
      ],
    });
    const { request, droppedHeaders } = await callback.send(message, OPTIONS);
    const shown = Array.from({ length: request.headers.length / 2 }, (_, index) => [
      request.headers[index * 2],
      request.headers[index * 2 + 1],
    ]);
    const framing = new Set(["host", "connection", "content-length"]);
    const got = receiver.requests[0]?.headers.filter(([name]) => !framing.has(name.toLowerCase()));
    expect(got).toEqual(shown as [string, string][]);
    expect(got).toContainEqual(["X-Own", "caf\u00e9"]);
    expect(droppedHeaders).toBe(1);
  });

  test("send() sends an empty body with a content length of 0", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    const emptyView = new Uint8Array(new ArrayBuffer(64), 16, 0);
    expect((await callback.send(toMessage(emptyView), OPTIONS)).outcome.kind).toBe("delivered");
    const [request] = receiver.requests;
    expect(request && headerOf(request, "content-length")).toBe("0");
    expect(request && headerOf(request, "transfer-encoding")).toBeUndefined();
  });

  test("send() sends 8 MB whole", async () => {
    await using receiver = await startReceiver();
    await using callback = openTestCallback(receiver.url);
    const body = new Uint8Array(8 * 1024 * 1024).map((_, index) => index % 251);
    expect((await callback.send(toMessage(body), OPTIONS)).outcome.kind).toBe("delivered");
    expect(receiver.requests[0]?.body.equals(body)).toBe(true);
  });

  test.each<[Answer, Outcome]>([
    [200, { kind: "delivered", status: 200 }],
    [
      { status: 201, body: "made" },
      { kind: "delivered", status: 201 },
    ],
    [204, { kind: "delivered", status: 204 }],
    [
      { status: 302, headers: { location: "/elsewhere" } },
      { kind: "rejected", status: 302, retryAfterMs: null },
    ],
    [304, { kind: "rejected", status: 304, retryAfterMs: null }],
    [404, { kind: "rejected", status: 404, retryAfterMs: null }],
    [
      { status: 429, headers: { "retry-after": "7" } },
      { kind: "rejected", status: 429, retryAfterMs: 7000 },
    ],
    [500, { kind: "server-error", status: 500, retryAfterMs: null }],
    [
      { status: 503, headers: { "retry-after": "1" } },
      { kind: "server-error", status: 503, retryAfterMs: 1000 },
    ],
    [599, { kind: "server-error", status: 599, retryAfterMs: null }],
  ])("send() answered with %j tells its outcome, once", async (answer, outcome) => {
    await using receiver = await startReceiver(() => answer);
    await using callback = openTestCallback(receiver.url);
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toEqual(outcome);
    expect(exchange.response).toMatchObject({ truncated: false });
    expect(receiver.requests.length).toBe(1);
  });

  test.each([
    ["100 Continue", "HTTP/1.1 100 Continue\r\n\r\n"],
    ["103 Early Hints", "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"],
  ])("send() ignores an interim %s, alone or together with the answer", async (_name, interim) => {
    const final = "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok";
    await using receiver = await startTcpReceiver((socket) => {
      socket.once("data", () => {
        socket.write(interim + final);
        socket.once("data", () => socket.write(interim, () => setImmediate(() => socket.write(final))));
      });
    });
    await using callback = openTestCallback(receiver.url);
    for (let index = 0; index < 2; index += 1) {
      const exchange = await callback.send(toMessage(), OPTIONS);
      expect(exchange.outcome).toEqual({ kind: "delivered", status: 202 });
      expect(exchange.response?.headers["link"]).toBeUndefined();
    }
    expect(receiver.connections).toBe(1);
  });

  test("send() hands an answer over as it came, without decompressing it", async () => {
    const packed = gzipSync("hello");
    await using receiver = await startReceiver(() => ({
      status: 200,
      headers: { "Content-Encoding": "gzip", "X-A": ["1", "2"] },
      body: packed,
    }));
    await using callback = openTestCallback(receiver.url);
    const { response } = await callback.send(toMessage(), OPTIONS);
    expect(response?.headers).toMatchObject({ "content-encoding": "gzip", "x-a": ["1", "2"] });
    expect(packed.equals(response?.body ?? new Uint8Array(0))).toBe(true);
  });

  test.each([
    [65_536, 65_536, false],
    [65_537, 65_536, true],
    [100_000_000, 65_536, true],
  ])("send() keeps of a body of %i bytes %i", async (size, kept, truncated) => {
    const body = Buffer.alloc(size, "abcdefghijk");
    await using receiver = await startReceiver(() => ({ status: 200, body }));
    await using callback = openTestCallback(receiver.url);
    const { outcome, response } = await callback.send(toMessage(), OPTIONS);
    expect(outcome).toEqual({ kind: "delivered", status: 200 });
    expect(response?.truncated).toBe(truncated);
    expect(body.subarray(0, kept).equals(response?.body ?? new Uint8Array(0))).toBe(true);
    if (size > 1_000_000) await eventually(() => receiver.openConnections === 0);
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
  });

  test("send() cancels an endless answer, whose status decides", async () => {
    await using receiver = await startTcpReceiver((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n");
        const more = () => {
          while (!socket.destroyed && socket.write(`1000\r\n${"x".repeat(4096)}\r\n`));
        };
        socket.on("drain", more);
        more();
      }),
    );
    await using callback = openTestCallback(receiver.url);
    const exchange = await callback.send(toMessage(), OPTIONS);
    expect(exchange.outcome).toMatchObject({ kind: "rejected", status: 400 });
    expect(exchange.response?.body.length).toBe(65_536);
    await eventually(() => receiver.openConnections === 0);
  });

  test("send() keeps its bytes apart from those of answers that follow", async () => {
    await using receiver = await startReceiver((_request, index) => ({
      status: 200,
      body: `answer ${index}`,
    }));
    await using callback = openTestCallback(receiver.url);
    const exchanges = [];
    for (let index = 0; index < 20; index += 1) exchanges.push(await callback.send(toMessage(), OPTIONS));
    const bodies = exchanges.map(({ response }) => new TextDecoder().decode(response?.body));
    expect(bodies).toEqual(Array.from({ length: 20 }, (_, index) => `answer ${index}`));
  });
});
