// A NATS server that does what a test says: pulls wait until the test answers them, in whatever order and with whatever status.

import { type AddressInfo, createServer, type Socket } from "node:net";

export interface ScriptedPull {
  /** Where its answers go. */
  readonly subject: string;
  readonly batch: number;
  /** 0: none. */
  readonly maxBytes: number;
  readonly expiresMs: number;
  /** Sends a status, such as `409 Batch Completed`; `pending`: with how many of the pull that will never come. */
  status: (text: string, pending?: number) => void;
  /** Sends the message with this sequence; one that nobody subscribes to any more is dropped, as servers do. */
  deliver: (sequence: number, pending?: number) => void;
}

export interface ScriptedNats extends AsyncDisposable {
  readonly url: string;
  readonly pulls: readonly ScriptedPull[];
  /** How many asked for the consumer. */
  readonly infos: number;
  /** Until it is called again with true, nobody is told about the consumer. */
  answerInfos: (isAnswering: boolean) => void;
}

export const SCRIPTED_CREATED = "2026-01-01T00:00:00Z";

interface Publication {
  readonly subject: string;
  readonly reply: string;
  readonly payload: string;
}

const LINE_END = "\r\n";

export async function startScriptedNats(): Promise<ScriptedNats> {
  const pulls: ScriptedPull[] = [];
  const unanswered: (() => void)[] = [];
  const sockets = new Set<Socket>();
  let isAnswering = true;
  let infos = 0;

  function onPublication({ subject, reply, payload }: Publication, send: Send): void {
    if (subject.includes(".CONSUMER.MSG.NEXT.")) pulls.push(toPull(reply, payload, send));
    if (!subject.includes(".CONSUMER.INFO.")) return;
    infos += 1;
    const info = JSON.stringify({
      created: SCRIPTED_CREATED,
      name: "relay-billing",
      stream_name: "ORDERS",
      config: { ack_policy: "explicit", deliver_policy: "all" },
      delivered: { consumer_seq: 0, stream_seq: 0 },
      ack_floor: { consumer_seq: 0, stream_seq: 0 },
      num_pending: 0,
      num_ack_pending: 0,
      num_redelivered: 0,
      num_waiting: 0,
    });
    const answer = () => send(reply, { body: info });
    if (isAnswering) answer();
    else unanswered.push(answer);
  }

  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => sockets.delete(socket));
    speak(socket, onPublication);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  return {
    url: `nats://127.0.0.1:${port}`,
    pulls,
    get infos() {
      return infos;
    },
    answerInfos(next) {
      isAnswering = next;
      if (isAnswering) for (const answer of unanswered.splice(0)) answer();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Send = (to: string, content: { subject?: string; reply?: string; head?: string; body?: string }) => void;

function speak(socket: Socket, onPublication: (publication: Publication, send: Send) => void): void {
  const subscriptions = new Map<string, string>();
  const info = { server_id: "scripted", version: "2.15.1", headers: true, max_payload: 1_048_576, proto: 1 };
  let received = "";

  const send: Send = (to, { subject = to, reply = "", head = "", body = "" }) => {
    for (const [sid, pattern] of subscriptions) {
      if (pattern !== to && !(pattern.endsWith(".*") && to.startsWith(pattern.slice(0, -1)))) continue;
      const verb = head === "" ? "MSG" : "HMSG";
      const sizes = head === "" ? `${body.length}` : `${head.length} ${head.length + body.length}`;
      const words = [verb, subject, sid, ...(reply === "" ? [] : [reply]), sizes];
      socket.write(`${words.join(" ")}${LINE_END}${head}${body}${LINE_END}`);
    }
  };

  /** False: the rest has not come. */
  function takeOne(): boolean {
    const end = received.indexOf(LINE_END);
    if (end < 0) return false;
    const [verb = "", ...words] = received.slice(0, end).split(" ");
    let next = end + LINE_END.length;
    if (verb === "PING") socket.write(`PONG${LINE_END}`);
    if (verb === "SUB") subscriptions.set(words.at(-1) ?? "", words[0] ?? "");
    if (verb === "UNSUB") subscriptions.delete(words[0] ?? "");
    if (verb === "PUB") {
      const length = Number(words.at(-1));
      if (received.length < next + length + LINE_END.length) return false;
      const payload = received.slice(next, next + length);
      next += length + LINE_END.length;
      const [subject = "", reply = ""] = words.slice(0, -1);
      onPublication({ subject, reply, payload }, send);
    }
    received = received.slice(next);
    return true;
  }

  socket.write(`INFO ${JSON.stringify(info)}${LINE_END}`);
  socket.on("data", (chunk: Buffer) => {
    received += chunk.toString("latin1");
    while (takeOne());
  });
}

function toPull(reply: string, payload: string, send: Send): ScriptedPull {
  const request = JSON.parse(payload) as { batch: number; expires: number; max_bytes?: number };
  return {
    subject: reply,
    batch: request.batch,
    maxBytes: request.max_bytes ?? 0,
    expiresMs: request.expires / 1_000_000,
    status(text, pending) {
      const told = pending === undefined ? "" : `Nats-Pending-Messages: ${pending}${LINE_END}`;
      send(reply, { head: `NATS/1.0 ${text}${LINE_END}${told}${LINE_END}` });
    },
    deliver(sequence, pending = 1) {
      const ack = `$JS.ACK.ORDERS.relay-billing.1.${sequence}.${sequence}.1767225600000000000.${pending}`;
      send(reply, { subject: "orders.new", reply: ack, body: String(sequence) });
    },
  };
}
