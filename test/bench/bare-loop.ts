// The limit: the same pump and the same HTTP library, one POST a message, the ack, and nothing else.
//
// Arguments: URL of NATS, URL of the receiver, "acks" or "no-acks", how many at once.

import { Client } from "undici/index.js";
import { openConnection } from "#nats/connection.ts";
import { alignConsumer } from "#nats/consumer.ts";
import { startPump } from "#nats/pump.ts";
import type { Received } from "#nats/received.ts";
import { createLogger } from "#lib/logger.ts";

const [natsUrl = "", receiverUrl = "", acksWord = "acks", connectionsWord = "1"] = process.argv.slice(2);
const acks = acksWord === "acks";
const connections = Number(connectionsWord);
const write = (line: string) => console.error(line);
const logger = createLogger({
  level: "error",
  format: "text",
  write,
  now: () => new Date(),
  mask: (text) => text,
});
const { signal } = new AbortController();
const connection = openConnection(
  { servers: [natsUrl], auth: { kind: "none" }, tls: null, inboxPrefix: "_INBOX", name: "bare-loop" },
  { logger, signal },
);
await connection.ready(signal);

const free = Array.from({ length: connections }, () => new Client(receiverUrl, { allowH2: false }));
const waiting: Received[] = [];
const headers = ["content-type", "application/json"];

function next(): void {
  while (waiting.length > 0 && free.length > 0) {
    const received = waiting.shift();
    const client = free.pop();
    if (received !== undefined && client !== undefined) post(received, client);
  }
}

function post(received: Received, client: Client): void {
  client.dispatch(
    { path: "/", method: "POST", headers, body: received.message.body },
    {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: () => undefined,
      onResponseEnd: () => {
        if (acks) received.ack();
        free.push(client);
        pump.release();
        next();
      },
      onResponseError: (_controller, error) => {
        throw error;
      },
    },
  );
}

const source = {
  domain: null,
  stream: "BENCH",
  filterSubjects: [],
  deliverPolicy: { kind: "all" },
  ackWaitMs: 30_000,
} as const;
const isOrdered = connections === 1;
const durable = "bare-loop";
await alignConsumer(connection, { durable, source, acks, maxAckPending: isOrdered ? 1 : 1000 }, null);
const pump = startPump(connection, {
  source,
  durable,
  acks,
  capacity: isOrdered || !acks ? connections : connections * 10,
  onMessage: (received) => {
    waiting.push(received);
    next();
  },
  onLost: (reason) => {
    throw new Error(reason);
  },
  logger,
});
