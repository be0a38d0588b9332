// What the server may answer to a pull, in the words of its versions.

import { type Msg, MsgHdrsImpl } from "@nats-io/transport-node";
import { expect, test } from "bun:test";

import { createPullRequests } from "#consumer/pull.ts";
import { judgePullStatus, readPullStatus } from "#nats/pull-status.ts";

test.each([
  [100, "idle heartbeat", { kind: "alive" }],
  [404, "no messages", { kind: "again" }],
  [408, "request timeout", { kind: "again" }],
  [409, "message size exceeds maxbytes", { kind: "too-small" }],
  [409, "batch completed", { kind: "filled" }],
  [409, "leadership change", { kind: "moved", delayMs: 50 }],
  [409, "server shutdown", { kind: "moved", delayMs: 50 }],
  [409, "exceeded maxwaiting", { kind: "later", delayMs: 1000 }],
  [409, "exceeded maxrequestbatch of 2", { kind: "limit", field: "batch", most: 2 }],
  [409, "exceeded maxrequestmaxbytes of 1024", { kind: "limit", field: "bytes", most: 1024 }],
  [409, "exceeded maxrequestexpires of 5s", { kind: "limit-expires" }],
  [409, "consumer deleted", { kind: "lost", reason: "consumer deleted" }],
  [409, "consumer is push based", { kind: "lost", reason: "consumer is push based" }],
  [400, "bad request", { kind: "lost", reason: "bad request" }],
  [409, "stream deleted", { kind: "lost", reason: "stream deleted" }],
  [
    400,
    "bad request - priority group missing",
    { kind: "lost", reason: "bad request - priority group missing" },
  ],
  [404, "requests pending", { kind: "again" }],
  [408, "interest expired", { kind: "again" }],
  [408, "requests pending", { kind: "again" }],
  [412, "required api level", { kind: "later", delayMs: 1000 }],
  [423, "nats-pin-id mismatch", { kind: "later", delayMs: 1000 }],
  [423, "nats-wrong-pin-id", { kind: "later", delayMs: 1000 }],
  [0, "", { kind: "later", delayMs: 1000 }],
  [503, "", { kind: "nobody" }],
] as const)("judgePullStatus() of %d %s", (code, description, verdict) => {
  expect(judgePullStatus({ code, description })).toEqual(verdict);
});

test.each([
  ["NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\nNats-Pending-Bytes: 0\r\n\r\n", 7],
  ["NATS/1.0 408 Request Timeout\r\n\r\n", null],
])("readPullStatus() of %j", (block, pending) => {
  const status = readPullStatus({ headers: MsgHdrsImpl.decode(Buffer.from(block)) } as unknown as Msg);
  expect(status).toEqual({ code: 408, description: "request timeout", pending });
});

/** As the library hands it over. */
function toMsg(block: string): Msg {
  const bytes = Buffer.from(block);
  return { _msg: { hdr: bytes.length === 0 ? -1 : bytes.length }, _rdata: bytes } as unknown as Msg;
}

test.each([
  ["NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1\r\n\r\n", 100, "idle heartbeat", null],
  ["NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n", 408, "request timeout", 7],
  ["NATS/1.0 503\r\n\r\n", 503, "", null],
  ["NATS/1.0 409 Consumer Deleted\r\n\r\n", 409, "consumer deleted", null],
  ["NATS/1.0\r\nA: 100\r\n\r\n", 0, "", null],
  ["NATS/1.0 4x8 Odd\r\n\r\n", 0, "odd", null],
  ["NATS/1.0 40", 0, "", null],
  ["", 0, "", null],
])("readPullStatus() of the bytes of %j", (block, code, description, pending) => {
  expect(readPullStatus(toMsg(block))).toEqual({ code, description, pending });
});

const ROOM = { messages: 5, bytes: Number.POSITIVE_INFINITY };

test("createPullRequests() asks for less after a limit status", () => {
  const requests = createPullRequests({ acks: true, ackWaitMs: 30_000, pumps: () => 1 });
  requests.limit({ kind: "limit", field: "batch", most: 2 });
  requests.limit({ kind: "limit", field: "bytes", most: 1024 });
  for (let i = 0; i < 20; i += 1) requests.limit({ kind: "limit-expires" });
  const { batch, body } = requests.next(ROOM, "usual");
  expect(batch).toBe(2);
  expect(JSON.parse(body)).toEqual({
    batch: 2,
    expires: 100_000_000,
    idle_heartbeat: 50_000_000,
    max_bytes: 1024,
  });
  expect(JSON.parse(requests.next(ROOM, "large").body)).not.toHaveProperty("max_bytes");
});

/** In ms. */
function timesOf(body: string): { expires: number; heartbeat: number } {
  const { expires, idle_heartbeat: heartbeat = 0 } = JSON.parse(body) as Record<string, number>;
  return { expires: (expires ?? 0) / 1e6, heartbeat: heartbeat / 1e6 };
}

test.each([
  ["of a few", 20, [2500, 2500]],
  ["of 500", 500, [10_000, 10_000]],
  ["of 1,000", 1000, [0, 0]],
  ["of 5,000", 5000, [0, 0]],
] as const)(
  "createPullRequests() %s pumps asks for signs of life that all of them can hear, or lets its end tell",
  (_, pumps, [least, most]) => {
    const requests = createPullRequests({ acks: true, ackWaitMs: 30_000, pumps: () => pumps });
    // Of many the first one may be shorter.
    requests.next(ROOM, "usual");
    for (let i = 0; i < 50; i += 1) {
      const { body, silenceMs } = requests.next(ROOM, "usual");
      const { expires, heartbeat } = timesOf(body);
      expect(expires).toBeGreaterThan(29_000);
      expect(expires).toBeLessThanOrEqual(30_000);
      expect(heartbeat).toBeGreaterThanOrEqual(least);
      expect(heartbeat).toBeLessThanOrEqual(most);
      expect(silenceMs).toBeGreaterThan(heartbeat);
    }
    expect(timesOf(requests.next(ROOM, "probe").body)).toEqual({ expires: 1000, heartbeat: 250 });
  },
);

test.each([
  [20, 1000],
  [1000, 5000],
  [5000, 5000],
])("createPullRequests() of %d pumps without acks are over within %d ms", (pumps, expires) => {
  const requests = createPullRequests({ acks: false, ackWaitMs: 30_000, pumps: () => pumps });
  expect(timesOf(requests.next(ROOM, "usual").body)).toEqual({ expires, heartbeat: 0 });
});
