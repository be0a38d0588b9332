// The same libraries without Relay: one POST a message, the ack, and nothing else.
//
// Arguments: URL of NATS, URL of the receiver, "acks" or "no-acks", how many at once.

import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { connect as connectTcp } from "node:net";

import { type CallbackConnection, createCallbackConnection } from "#callback/connection.ts";
import { toHeaderLines, toRequestPrefix } from "#callback/request-writer.ts";

const [natsUrl = "", receiverUrl = "", acksWord = "acks", connectionsWord = "1"] = process.argv.slice(2);
const acks = acksWord === "acks";
const connections = Number(connectionsWord);
/** The window of an ordered subscription, where there is one connection. */
const window = connections === 1 ? 64 : connections * 10;
const { hostname, port, host, pathname } = new URL(receiverUrl);
const target = { path: pathname, headers: [], isForwarded: false };
const prefix = toRequestPrefix({ method: "POST", target, host, isKept: true });
const lines = toHeaderLines(["content-type", "application/json"]);
const connection = await connect({ servers: natsUrl });
const manager = await jetstreamManager(connection);
await manager.consumers.add("BENCH", {
  durable_name: "bare-loop",
  ack_policy: acks ? AckPolicy.Explicit : AckPolicy.None,
  ...(acks ? { max_ack_pending: window } : {}),
});
const consumer = await jetstream(connection).consumers.get("BENCH", "bare-loop");
const free = Array.from({ length: connections }, () =>
  createCallbackConnection({
    dial: (onEnd) => {
      const socket = connectTcp(Number(port), hostname, () => onEnd({ kind: "connected", socket }));
      return () => socket.destroy();
    },
    idleTimeoutMs: Infinity,
    maxAgeMs: Infinity,
    isOnce: false,
  }),
);
const waiting: JsMsg[] = [];

function next(): void {
  while (waiting.length > 0 && free.length > 0) {
    const message = waiting.shift();
    const client = free.pop();
    if (message !== undefined && client !== undefined) post(message, client);
  }
}

function post(message: JsMsg, client: CallbackConnection): void {
  if (!client.isOpen) return client.open(() => post(message, client));
  client.send(
    { prefix, lines, body: message.data },
    {
      onAnswer: () => {
        if (acks) message.ack();
        free.push(client);
        next();
      },
      onBreak: (error) => {
        throw error;
      },
    },
  );
}

await consumer.consume({
  max_messages: window,
  callback: (message) => {
    waiting.push(message);
    next();
  },
});
