// Reads an HTTP/1.1 answer as its bytes arrive: interim answers, head, body, or the rule that it breaks (RFC 9112). PURE.
//
//   head --1xx--> head
//     |-- no body ---------------------------------------.
//     |-- Content-Length ---> data ----------------------+-> complete
//     |-- chunked ----------> size -> data -> data-end --+
//     |                        '----> trailer -----------+
//     '-- neither ----------> data, until the peer closes'
//   each of them --> too-long, broken

import { FORBIDDEN, NOT_HTTP, PROTOCOL, parseHead } from "./answer-head.ts";

export type AnswerProgress =
  | "incomplete"
  | "complete"
  /** The body is longer than the part that is kept. */
  | "too-long"
  /** `fault`: the rule of HTTP that the answer breaks. */
  | "broken";

export interface AnswerReader {
  /** Starts over for the next answer. */
  readonly reset: () => void;
  readonly read: (chunk: Buffer) => AnswerProgress;
  /** The peer closed: an answer is complete if only the close ends its body, and broken if its head breaks a rule. */
  readonly end: () => AnswerProgress;
  /** True: a byte has arrived. */
  readonly hasBegun: boolean;
  /** Status of the final answer; 0 until its head is here. */
  readonly status: number;
  /** The header lines, for `parseHeaders`. */
  readonly fields: string;
  /** A copy of the body. Releases what was read, so that an idle connection does not retain it. */
  readonly takeBody: () => Uint8Array;
  readonly fault: string;
  /** False: close the connection after this answer. */
  readonly isReusable: boolean;
  readonly keepAliveMs: number;
}

/** The part of a body that is kept. */
const MAX_BODY_BYTES = 64 * 1024;
/** Limit for a head, for all interim answers together, and for the lines between and after the chunks. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Most heads are shorter: this avoids decoding the body that follows one. */
const HEAD_PIECE_BYTES = 4096;
/** This many bytes of each chunk line are free: there may be as many lines as body bytes. */
const USUAL_LINE_BYTES = 24;
const LF = 0x0a;
const BAD_SIZE = "a chunk size that is not a hexadecimal number";
const SIZE_START = /^[\dA-Fa-f]*(?:$|[\t \r\n;])/;
const CHUNK_SIZE = /^([\dA-Fa-f]+)[\t ]*(?:;.*)?\r?\n/;
const NO_BODY = new Uint8Array(0);

type State = "head" | "data" | "size" | "data-end" | "trailer" | "complete" | "too-long" | "broken";

export function createAnswerReader(): AnswerReader {
  let state: State = "head";
  let hasBegun = false;
  /** The part of a head or of a line that has arrived. */
  let text = "";
  let hasStatusLine = false;
  let status = 0;
  let fields = "";
  let interimBytes = 0;
  let chunks: Uint8Array[] = [];
  let bodyBytes = 0;
  let isChunked = false;
  /** Bytes of the body or chunk that are still to come. */
  let remaining = 0;
  let overheadBytes = 0;
  let fault = "";
  let isReusable = true;
  let keepAliveMs = Infinity;

  function reset(): void {
    state = "head";
    hasBegun = false;
    text = "";
    hasStatusLine = false;
    status = 0;
    fields = "";
    interimBytes = 0;
    if (chunks.length > 0) chunks = [];
    bodyBytes = 0;
    overheadBytes = 0;
    fault = "";
    isReusable = true;
    keepAliveMs = Infinity;
  }

  function breakOff(rule: string): void {
    state = "broken";
    text = "";
    fault = rule;
    isReusable = false;
  }

  /** Returns the offset to continue at. */
  function readHead(chunk: Buffer, from: number): number {
    const before = text.length;
    const to = Math.min(chunk.length, from + HEAD_PIECE_BYTES);
    text += chunk.toString("latin1", from, to);
    // Search only if a line ends: a long line may arrive byte by byte, and each search copies it.
    const end = chunk.indexOf(LF, from) === -1 ? -1 : findHeadEnd(text, Math.max(0, before - 2));
    // A peer that speaks another protocol may send nothing more: fail now.
    if (before < PROTOCOL.length && !text.startsWith(PROTOCOL.slice(0, text.length))) breakOff(NOT_HTTP);
    else if ((end === -1 ? text.length : end) > MAX_HEAD_BYTES) breakOff("headers too long");
    if (end === -1 && !hasStatusLine) checkStatusLine();
    if (end === -1 || state === "broken") return to;
    hasStatusLine = false;
    const head = text.slice(0, text.lastIndexOf("\n", end - 2) + 1);
    text = "";
    takeHead(head);
    return from + end - before;
  }

  function checkStatusLine(): void {
    const lineEnd = text.indexOf("\n");
    if (lineEnd === -1) return;
    hasStatusLine = true;
    checkLines(text.slice(0, lineEnd + 1));
  }

  /** Called for a head that is still incomplete. */
  function checkLines(lines: string): void {
    const parsed = parseHead(lines);
    if (parsed.kind === "broken") breakOff(parsed.rule);
  }

  function takeHead(head: string): void {
    const parsed = parseHead(head);
    switch (parsed.kind) {
      case "broken":
        return breakOff(parsed.rule);
      case "interim":
        interimBytes += head.length;
        if (interimBytes > MAX_HEAD_BYTES) breakOff("too many interim answers");
        return;
      case "final":
        ({ status, fields, isReusable, keepAliveMs } = parsed);
        isChunked = parsed.body === "chunked";
        remaining = typeof parsed.body === "number" ? parsed.body : Infinity;
        state = isChunked ? "size" : remaining === 0 ? "complete" : "data";
    }
  }

  function readData(chunk: Buffer, from: number): number {
    const to = Math.min(chunk.length, from + remaining);
    const kept = Math.min(to, from + MAX_BODY_BYTES - bodyBytes);
    if (kept > from) chunks.push(chunk.subarray(from, kept));
    bodyBytes += to - from;
    remaining -= to - from;
    if (kept < to) state = "too-long";
    else if (remaining === 0) state = isChunked ? "data-end" : "complete";
    return to;
  }

  /** A line between or after the chunks. */
  function readLine(chunk: Buffer, from: number): number {
    const lf = chunk.indexOf(LF, from);
    const to = lf === -1 ? chunk.length : lf + 1;
    const isStart = text.length <= USUAL_LINE_BYTES;
    overheadBytes += to - from;
    text += chunk.toString("latin1", from, to);
    if (state === "data-end" && !isLineEnd(text)) breakOff("a chunk longer than its size");
    else if (state === "size" && isStart && !SIZE_START.test(text.slice(0, USUAL_LINE_BYTES))) {
      breakOff(BAD_SIZE);
    } else if (overheadBytes > MAX_HEAD_BYTES) breakOff("chunk extensions or trailers too long");
    else if (lf !== -1) {
      const line = text;
      text = "";
      if (state !== "trailer") overheadBytes -= Math.min(line.length, USUAL_LINE_BYTES);
      takeLine(line);
    }
    return to;
  }

  function takeLine(line: string): void {
    // Go refuses these too: a proxy might see other chunk boundaries than Relay.
    if (!line.endsWith("\r\n")) isReusable = false;
    const size = state === "size" ? CHUNK_SIZE.exec(line)?.[1] : null;
    if (size === undefined) return breakOff(BAD_SIZE);
    if (FORBIDDEN.test(line)) return breakOff("a control character between the chunks");
    if (size !== null) return takeSize(size);
    if (state === "data-end") state = "size";
    else if (isLineEnd(line)) state = "complete";
    else if (!line.includes(":")) breakOff("a trailer without a colon");
  }

  function takeSize(digits: string): void {
    remaining = Number.parseInt(digits, 16);
    if (remaining > Number.MAX_SAFE_INTEGER) breakOff("a chunk size that is too large");
    else state = remaining === 0 ? "trailer" : "data";
  }

  function readPart(chunk: Buffer, from: number): number {
    switch (state) {
      case "head":
        return readHead(chunk, from);
      case "data":
        return readData(chunk, from);
      case "size":
      case "data-end":
      case "trailer":
        return readLine(chunk, from);
      case "complete":
        // Unrequested bytes: they must not become the next answer.
        isReusable = false;
        return chunk.length;
      case "too-long":
      case "broken":
        return chunk.length;
    }
  }

  function reading(): AnswerProgress {
    return state === "complete" || state === "too-long" || state === "broken" ? state : "incomplete";
  }

  return {
    reset,
    read(chunk) {
      hasBegun ||= chunk.length > 0;
      for (let at = 0; at < chunk.length;) at = readPart(chunk, at);
      return reading();
    },
    end() {
      if (state === "data" && remaining === Infinity) state = "complete";
      const lastLineEnd = state === "head" ? text.lastIndexOf("\n") : -1;
      if (lastLineEnd !== -1) checkLines(text.slice(0, lastLineEnd + 1));
      return reading();
    },
    takeBody() {
      const body = joinChunks(chunks);
      if (chunks.length > 0) chunks = [];
      return body;
    },
    get hasBegun() {
      return hasBegun;
    },
    get status() {
      return status;
    },
    get fields() {
      return fields;
    },
    get fault() {
      return fault;
    },
    get isReusable() {
      return isReusable;
    },
    get keepAliveMs() {
      return keepAliveMs;
    },
  };
}

/** The offset after the empty line, which may end in a bare LF; -1: not here yet. */
function findHeadEnd(text: string, from: number): number {
  const usual = text.indexOf("\n\r\n", from);
  const bare = text.indexOf("\n\n", from);
  if (usual === -1) return bare === -1 ? -1 : bare + 2;
  return bare !== -1 && bare < usual ? bare + 2 : usual + 3;
}

/** A line break, or its beginning. */
function isLineEnd(text: string): boolean {
  return text === "\r\n" || text === "\n" || text === "\r";
}

/** A copy: the chunks are views of larger buffers. */
function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  if (first === undefined) return NO_BODY;
  return new Uint8Array(chunks.length === 1 ? first : Buffer.concat(chunks));
}
