// A name server by a script: each question has its answer, or none ever.

import { createSocket } from "node:dgram";
import { once } from "node:events";

export interface Question {
  readonly name: string;
  readonly type: "A" | "AAAA";
}

/** Addresses of the type that is asked for; null: no such name. Undefined: silence. */
export type Answer = readonly string[] | null | undefined;

export interface NameServer extends AsyncDisposable {
  /** As `setServers` takes it. */
  readonly address: string;
  readonly questions: readonly Question[];
}

const HEAD_BYTES = 12;
const NOT_FOUND = 3;

export async function startNameServer(answer: (question: Question) => Answer): Promise<NameServer> {
  const questions: Question[] = [];
  const socket = createSocket("udp4", (query, { address, port }) => {
    const { question, end } = parse(query);
    questions.push(question);
    const found = answer(question);
    if (found === undefined) return;
    const head = Buffer.from(query.subarray(0, end));
    head.writeUInt16BE(0x8180 | (found === null ? NOT_FOUND : 0), 2);
    for (const [index, count] of [1, found?.length ?? 0, 0, 0].entries())
      head.writeUInt16BE(count, 4 + index * 2);
    socket.send(
      Buffer.concat([head, ...(found ?? []).map((each) => toRecord(each, question.type))]),
      port,
      address,
    );
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    questions,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
}

function parse(query: Buffer): { readonly question: Question; readonly end: number } {
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1) === 28 ? "AAAA" : "A";
  return { question: { name: labels.join("."), type }, end: at + 5 };
}

/** `address`: IPv4, or an IPv6 address written in full. */
function toRecord(address: string, type: Question["type"]): Buffer {
  const data =
    type === "A"
      ? Buffer.from(address.split(".").map(Number))
      : Buffer.from(address.replaceAll(":", ""), "hex");
  // The name is that of the question; class IN; 60 s.
  const record = Buffer.from([0xc0, HEAD_BYTES, 0, type === "A" ? 1 : 28, 0, 1, 0, 0, 0, 60, 0, data.length]);
  return Buffer.concat([record, data]);
}
