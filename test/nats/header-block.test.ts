// Header blocks as any publisher may write them: sane ones read as the library reads them, bad ones cost no more than themselves.

import { headers as createHeaders, type Msg } from "@nats-io/transport-node";
import { describe, expect, test } from "bun:test";

import { parseHeaderBlock, readHeaderBlock } from "#nats/header-block.ts";

const toBytes = (text: string) => new TextEncoder().encode(text);

function parse(...lines: readonly string[]) {
  const { headers, unreadable } = parseHeaderBlock(toBytes(["NATS/1.0", ...lines, "", ""].join("\r\n")));
  return { read: headers.map(([name, value]) => `${name}=${value}`), unreadable };
}

function parsed(text: string) {
  return parseHeaderBlock(toBytes(text));
}

interface Decoder {
  readonly constructor: { readonly decode: (bytes: Uint8Array) => Iterable<[string, string[]]> };
}

/** What the library makes of a block. */
function decodeByLibrary(lines: readonly string[]): string[] {
  const { decode } = (createHeaders() as unknown as Decoder).constructor;
  const block = decode(toBytes(["NATS/1.0", ...lines, "", ""].join("\r\n")));
  return [...block].flatMap(([name, values]) => values.map((value) => `${name}=${value}`));
}

describe("parseHeaderBlock()", () => {
  test.each<[string, readonly string[]]>([
    ["one header", ["X-A: 1"]],
    ["none", []],
    ["the case of names", ["x-a: 1", "X-A: 2"]],
    ["no space, much space and tabs around a value", ["A:1", "B:   2  ", "C:\t3\t"]],
    ["an empty value", ["A:", "B: "]],
    ["colons in a value", ["A: b:c: d"]],
    ["a repeated header", ["A: 1", "A: 2", "B: 3"]],
    ["values outside of ASCII", ["A: caf\u00e9", "B: \u20ac", "C: \u{1f980}"]],
    ["control characters in a value", ["A: a\0b\u001bc"]],
    ["odd names", ["!#$%&'*+-.^_`|~(@): 1", "__proto__: 2", "constructor: 3"]],
    ["empty lines", ["A: 1", "", "B: 2"]],
  ])("parseHeaderBlock() reads %s as the library does", (_what, lines) => {
    const { read, unreadable } = parse(...lines);
    expect(read).toEqual(decodeByLibrary(lines));
    expect(unreadable).toBe(0);
  });

  test("parseHeaderBlock() keeps the order of the block", () => {
    expect(parse("A: 1", "B: 2", "A: 3").read).toEqual(["A=1", "B=2", "A=3"]);
  });

  test.each([
    ["a space in the name", "a b: 1"],
    ["a space behind the name", "Host : evil"],
    ["a space before the name", " folded: 1"],
    ["a control character in the name", "a\0b: 1"],
    ["a name outside of ASCII", "\u00e9: 1"],
    ["an empty name", ": 1"],
    ["no colon", "no colon"],
    ["a lone line feed", "X-Feed: a\nX-Injected: b"],
    ["a lone carriage return", "X-Return: a\rX-Injected: b"],
    ["a line feed in the name", "X\nA: 1"],
  ])("parseHeaderBlock() drops and counts a line with %s, and no other", (_what, line) => {
    expect(parse("A: 1", line, "B: 2")).toEqual({ read: ["A=1", "B=2"], unreadable: 1 });
    expect(parse(line, line)).toEqual({ read: [], unreadable: 2 });
  });

  test("parseHeaderBlock() marks bytes that are not UTF-8 in their own header only", () => {
    const block = Buffer.from("NATS/1.0\r\nA: caf\xe9\r\nB: \xc3\r\nC: 1\r\n\r\n", "latin1");
    expect(parseHeaderBlock(block).headers).toEqual([
      ["A", "caf\ufffd"],
      ["B", "\ufffd"],
      ["C", "1"],
    ]);
  });

  test.each([
    ["a status", "NATS/1.0 503\r\nA: 1\r\n\r\n", 0],
    ["a status with its description", "NATS/1.0 408 Request Timeout\r\nA: 1\r\n\r\n", 0],
    ["a space and nothing else", "NATS/1.0 \r\nA: 1\r\n\r\n", 0],
    ["no end", "NATS/1.0\r\nA: 1", 0],
    ["a header in place of the first line", "X: 0\r\nA: 1\r\n\r\n", 1],
    ["a header behind a lone line feed", "NATS/1.0\nX: 0\r\nA: 1\r\n\r\n", 1],
    ["another version", "NATS/2.0\r\nA: 1\r\n\r\n", 1],
  ])("parseHeaderBlock() reads the headers of a block with %s", (_what, text, unreadable) => {
    expect(parsed(text)).toEqual({ headers: [["A", "1"]], unreadable });
  });

  test("parseHeaderBlock() returns no headers for an empty block", () => {
    expect(parsed("NATS/1.0\r\n\r\n")).toEqual({ headers: [], unreadable: 0 });
    expect(parsed("")).toEqual({ headers: [], unreadable: 1 });
  });

  test("parseHeaderBlock() reads 4096 headers and counts the rest, in linear time", () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `h${index}: ${index}`);
    const times = [1, 2, 3].map(() => {
      const startedAt = performance.now();
      parse(...lines);
      return performance.now() - startedAt;
    });
    expect(Math.min(...times)).toBeLessThan(200);
    const { read, unreadable } = parse(...lines);
    expect(read).toHaveLength(4096);
    expect(read.at(-1)).toBe("h4095=4095");
    expect(unreadable).toBe(10_000 - 4096);
  });
});

describe("readHeaderBlock()", () => {
  test("readHeaderBlock() falls back to the library's parser without its internals", () => {
    const headers = createHeaders();
    headers.append("A", "1");
    headers.append("A", "2");
    expect(readHeaderBlock({ headers } as Msg)).toEqual({
      headers: [
        ["A", "1"],
        ["A", "2"],
      ],
      unreadable: 0,
    });
    expect(readHeaderBlock({} as Msg)).toEqual({ headers: [], unreadable: 0 });
  });

  test("readHeaderBlock() counts one unreadable header if the library's parser throws", () => {
    const msg = {
      get headers(): never {
        throw new Error("Invalid");
      },
    };
    expect(readHeaderBlock(msg as unknown as Msg)).toEqual({ headers: [], unreadable: 1 });
  });
});
