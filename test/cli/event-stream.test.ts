// Server-sent events, however they are cut on their way.

import { expect, test } from "bun:test";
import { readEvents, type ServerSentEvent } from "#cli/event-stream.ts";

async function* cut(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(text: string, size: number): Promise<readonly ServerSentEvent[]> {
  const events: ServerSentEvent[] = [];
  for await (const event of readEvents(cut(text, size))) events.push(event);
  return events;
}

test("readEvents() reads ids and data, past comments, in pieces of any size", async () => {
  const text =
    ':hello\r\n\r\nid: 7\r\nevent: delivery\r\ndata: {"a":\r\ndata:"ü"}\r\n\r\n: idle\n\ndata: b\n\nid: 8\n\nid: 9\ndata: cut off';
  for (const size of [1, 2, 3, 7, 1000]) {
    expect(await read(text, size)).toEqual([
      { id: "7", data: '{"a":\n"ü"}' },
      { id: "7", data: "b" },
      { id: "8", data: null },
    ]);
  }
});

test("readEvents() ends where an event or a line has no end", async () => {
  const megabyte = "x".repeat(1024 * 1024);
  for (const text of [`data: ${megabyte}x`, `data: ${megabyte}\ndata: x\n`, `:${megabyte}`]) {
    expect(await read(text, 65_536).catch(String)).toContain("larger than 1048576 characters");
  }
});
