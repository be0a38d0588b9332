// Every rule of RFC 9112 that an answer can keep, bend or break: the same comes out however its bytes arrive.

import { describe, expect, test } from "bun:test";

import { parseHeaders } from "#callback/answer-head.ts";
import { type AnswerReader, createAnswerReader, type AnswerProgress } from "#callback/answer-reader.ts";
import { ANSWERS, type AnswerRow } from "./answer-table.ts";

/** All at once; byte by byte; in two, at each position of a short answer and at some of a long one. */
function* splits(bytes: Buffer): Generator<readonly Buffer[]> {
  yield [bytes];
  yield Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1));
  const step = bytes.length < 1000 ? 1 : Math.floor(bytes.length / 40);
  for (let at = 1; at < bytes.length; at += step) yield [bytes.subarray(0, at), bytes.subarray(at)];
}

function readAll(reader: AnswerReader, chunks: readonly Buffer[]): AnswerProgress {
  reader.reset();
  let reading: AnswerProgress = "incomplete";
  for (const chunk of chunks) {
    reading = reader.read(chunk);
    // As a connection does, which may have another request by then; what follows in the same read it must see.
    if (reading === "broken" || reading === "too-long") return reading;
  }
  return reading === "incomplete" ? reader.end() : reading;
}

function whatOf(reader: AnswerReader, reading: AnswerProgress): AnswerRow["expected"] {
  if (reading === "broken") return { fault: reader.fault };
  if (reading === "incomplete") return "cut off";
  const body = Buffer.from(reader.takeBody()).toString("latin1");
  return { status: reader.status, body, isReusable: reader.isReusable };
}

describe("createAnswerReader()", () => {
  test.each(ANSWERS.map((row) => [row.name, row] as const))(
    "createAnswerReader() reads %s alike, whole, split anywhere, and byte by byte",
    (_name, { text, expected }) => {
      const reader = createAnswerReader();
      const bytes = Buffer.from(text, "latin1");
      for (const chunks of splits(bytes)) expect(whatOf(reader, readAll(reader, chunks))).toEqual(expected);
    },
  );

  test.each([
    ["220 mail", "not HTTP/1.1"],
    ["\x15\x03\x03\0\x02\x02\x50", "not HTTP/1.1"],
    ["HTTP/1.1 OK\r\n", "a status that is not three digits"],
    [
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
      "a chunk size that is not a hexadecimal number",
    ],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", "a chunk longer than its size"],
  ])("createAnswerReader() refuses %j before more comes", (text, rule) => {
    const reader = createAnswerReader();
    expect(reader.read(Buffer.from(text, "latin1"))).toBe("broken");
    expect(reader.fault).toBe(rule);
  });

  test("createAnswerReader() keeps 64 KiB of a body and tells that there is more", () => {
    const reader = createAnswerReader();
    const head = "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n";
    expect(readAll(reader, [Buffer.from(head), Buffer.alloc(65_536, "a")])).toBe("incomplete");
    expect(reader.read(Buffer.from("b"))).toBe("too-long");
    expect(Buffer.from(reader.takeBody()).equals(Buffer.alloc(65_536, "a"))).toBe(true);
  });

  test("createAnswerReader() reads a body of chunks of one byte, and refuses endless extensions and trailers", () => {
    const reader = createAnswerReader();
    const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const ones = `${head}${"1\r\nx\r\n".repeat(65_536)}0\r\n\r\n`;
    expect(readAll(reader, [Buffer.from(ones)])).toBe("complete");
    expect(reader.takeBody().length).toBe(65_536);
    const extended = `${head}${`1;${"e".repeat(1000)}\r\nx\r\n`.repeat(70)}`;
    for (const endless of [
      extended,
      `${head}0\r\n${"X: y\r\n".repeat(20_000)}`,
      `${head}1;${"e".repeat(70_000)}`,
    ]) {
      expect(readAll(reader, [Buffer.from(endless)])).toBe("broken");
      expect(reader.fault).toBe("chunk extensions or trailers too long");
    }
  });

  test.each([
    ["timeout=5", 5000],
    ["timeout=5, max=100", 5000],
    ['max=100, Timeout = "7"', 7000],
    ["timeout=0", 0],
    ["max=100", Infinity],
    ["nonsense", Infinity],
  ])("createAnswerReader() reads Keep-Alive: %s", (value, keepAliveMs) => {
    const reader = createAnswerReader();
    readAll(reader, [Buffer.from(`HTTP/1.1 200 OK\r\nKeep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`)]);
    expect(reader.keepAliveMs).toBe(keepAliveMs);
  });

  test("createAnswerReader() takes no time for blanks without end", () => {
    const reader = createAnswerReader();
    const blanks = " ".repeat(60_000);
    const before = process.cpuUsage();
    for (const line of [
      `X: a${blanks}b`,
      `Content-Length: a${blanks}b`,
      `X: a\r\n b${blanks}c`,
      `X${blanks}y: z`,
    ]) {
      readAll(reader, [Buffer.from(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`)]);
      parseHeaders(reader.fields);
    }
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
  });
});

describe("parseHeaders()", () => {
  test("parseHeaders() joins folded lines, lists repeated headers, and has none that nobody sent", () => {
    const lines = ["X-A: 1", "x-a :2", "X-A:\t3 ", "Folded: a", " \tb", "__proto__: own", "Empty:"];
    const reader = createAnswerReader();
    readAll(reader, [Buffer.from(`HTTP/1.1 200 OK\r\n${lines.join("\r\n")}\r\nContent-Length: 0\r\n\r\n`)]);
    const headers = parseHeaders(reader.fields);
    expect(Object.entries(headers)).toEqual([
      ["x-a", ["1", "2", "3"]],
      ["folded", "a b"],
      ["__proto__", "own"],
      ["empty", ""],
      ["content-length", "0"],
    ]);
    expect(headers["constructor"]).toBeUndefined();
  });
});
