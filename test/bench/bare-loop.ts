// The limit: the same libraries, one POST a message, the ack, and nothing of Relay.
//
// Arguments: URL of NATS, URL of the receiver, "acks" or "no-acks", how many at once.

import { AckPolicy, jetstream, jetstreamManager, type JsMsg } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { Client } from "undici/index.js";

const [natsUrl = "", receiverUrl = "", acksWord = "acks", connectionsWord = "1"] = process.argv.slice(2);
const acks = acksWord === "acks";
const connections = Number(connectionsWord);
const isOrdered = connections === 1;
const connection = await connect({ servers: natsUrl });
const manager = await jetstreamManager(connection);
await manager.consumers.add("BENCH", {
  durable_name: "bare-loop",
  ack_policy: acks ? AckPolicy.Explicit : AckPolicy.None,
  ...(acks ? { max_ack_pending: isOrdered ? 1 : connections * 10 } : {}),
});
const consumer = await jetstream(connection).consumers.get("BENCH", "bare-loop");
const free = Array.from({ length: connections }, () => new Client(receiverUrl, { allowH2: false }));
const waiting: JsMsg[] = [];
const headers = ["content-type", "application/json"];

function next(): void {
  while (waiting.length > 0 && free.length > 0) {
    const message = waiting.shift();
    const client = free.pop();
    if (message !== undefined && client !== undefined) post(message, client);
  }
}

function post(message: JsMsg, client: Client): void {
  client.dispatch(
    { path: "/", method: "POST", headers, body: message.data },
    {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: () => undefined,
      onResponseEnd: () => {
        if (acks) message.ack();
        free.push(client);
        next();
      },
      onResponseError: (_controller, error) => {
        throw error;
      },
    },
  );
}

await consumer.consume({
  max_messages: connections * 10,
  callback: (message) => {
    waiting.push(message);
    next();
  },
});
