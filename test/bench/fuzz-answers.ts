// Fuzzes the reader of answers and the connection around it: no crash, no hang, no growth, no answer of another request.
//
// `--inputs N` (default 1,000,000), `--seed N`: the same seed gives the same inputs.

import type { Socket } from "node:net";
import { EventEmitter } from "node:events";
import { parseArgs } from "node:util";

import { parseHeaders } from "#callback/answer-head.ts";
import { type AnswerReader, createAnswerReader } from "#callback/answer-reader.ts";
import { type CallbackConnection, createCallbackConnection } from "#callback/connection.ts";
import { ANSWERS } from "../callback/answer-table.ts";

const { values } = parseArgs({
  options: { inputs: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } },
});
const INPUTS = Number(values.inputs);
/** One is at most so long, but for a few. */
const MAX_BYTES = 2000;
const SLOW_MS = 250;
const PARTS = [
  "\r\n",
  "\n",
  "\r",
  "\r\n\r\n",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "\0",
  "\x7f",
  "\xff",
  "0",
  "1",
  "ffffffffffffffff",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.0 200 OK\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n\r\n",
  "Content-Length: 0\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Keep-Alive: timeout=1\r\n",
  "0\r\n\r\n",
  "5\r\nhello\r\n",
];

/** Mulberry32. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const random = createRandom(Number(values.seed));
const SEEDS: readonly Buffer[] = ANSWERS.map(({ text }) => Buffer.from(text, "latin1"));
const SHORT_SEEDS = SEEDS.filter(({ length }) => length <= MAX_BYTES);

function pick<T>(list: readonly T[]): T {
  const found = list[random(list.length)];
  if (found === undefined) throw new Error("Nothing to pick from");
  return found;
}

function mutate(bytes: Buffer): Buffer {
  const at = random(bytes.length + 1);
  const to = Math.min(bytes.length, at + random(20));
  switch (random(6)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(PARTS), "latin1"), bytes.subarray(at)]);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), Buffer.of(random(256)), bytes.subarray(at + 1)]);
    case 3:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), pick(SHORT_SEEDS)]);
    default:
      return bytes.subarray(0, at);
  }
}

function toInput(): Buffer {
  let bytes = random(200) === 0 ? pick(SEEDS) : pick(SHORT_SEEDS);
  for (let count = random(5); count > 0; count -= 1) bytes = mutate(bytes);
  return bytes;
}

function toChunks(bytes: Buffer): readonly Buffer[] {
  const size = pick([1, 2, 7, 100, bytes.length, bytes.length]);
  if (size < 7 && bytes.length > MAX_BYTES) return [bytes];
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return chunks;
}

function describe(reader: AnswerReader): string {
  const body = Buffer.from(reader.takeBody()).toString("latin1");
  return JSON.stringify([reader.status, parseHeaders(reader.fields), body, reader.isReusable, reader.fault]);
}

const whole = createAnswerReader();
const split = createAnswerReader();

/** Whole and in pieces the same must come out. */
function checkReader(bytes: Buffer): void {
  whole.reset();
  split.reset();
  let expected = whole.read(bytes);
  if (expected === "incomplete") expected = whole.end();
  let actual = split.read(Buffer.alloc(0));
  for (const chunk of toChunks(bytes)) actual = split.read(chunk);
  if (actual === "incomplete") actual = split.end();
  if (expected !== actual) throw new Error(`${expected} whole, ${actual} in pieces`);
  if (expected === "broken" ? whole.fault !== split.fault : describe(whole) !== describe(split)) {
    throw new Error(`${describe(whole)} whole, ${describe(split)} in pieces`);
  }
}

interface Peer {
  readonly connection: CallbackConnection;
  /** Ends the dial under way. */
  connect: () => void;
  socket: EventEmitter & { destroyed: boolean };
}

function createPeer(): Peer {
  const peer: Peer = {
    socket: createSocket(),
    connect: () => undefined,
    connection: createCallbackConnection({
      dial: (onEnd) => {
        peer.connect = () => {
          peer.socket = createSocket();
          onEnd({ kind: "connected", socket: peer.socket as unknown as Socket });
        };
        return () => undefined;
      },
      idleTimeoutMs: 60_000,
      maxAgeMs: 600_000,
      isOnce: false,
    }),
  };
  return peer;
}

function createSocket() {
  const socket = Object.assign(new EventEmitter(), {
    destroyed: false,
    writableLength: 0,
    write: () => true,
    resume: () => socket,
    destroy: () => (socket.destroyed = true),
  });
  return socket;
}

const REQUEST = { prefix: "POST / HTTP/1.1\r\n", lines: "", body: new Uint8Array(0) };
const peer = createPeer();
let answers = 0;
let ownAnswers = 0;

/**
 * A bad answer, then a good one to another request, which names its number. Where the connection serves both, the second
 * one must be that answer; no byte that came before the request may be part of it.
 */
function checkConnection(bytes: Buffer, number: number): void {
  const { connection } = peer;
  if (!connection.isOpen) {
    connection.open(() => undefined);
    peer.connect();
  }
  const seen: string[] = [];
  const exchange = (act: () => void) => {
    let calls = 0;
    connection.send(REQUEST, {
      onAnswer: () => {
        calls += 1;
        seen.push(Buffer.from(connection.answer.takeBody()).toString("latin1"));
      },
      onBreak: () => {
        calls += 1;
        seen.push("");
      },
    });
    act();
    if (calls > 1) throw new Error("A request was answered twice");
    return calls === 1;
  };
  const { socket } = peer;
  const hasEnded = exchange(() => {
    for (const chunk of toChunks(bytes)) if (!socket.destroyed) socket.emit("data", chunk);
  });
  answers += 1;
  if (!hasEnded) return connection.drop();
  if (!connection.isOpen) return;
  ownAnswers += 1;
  const body = `own-${number}`;
  exchange(() =>
    socket.emit("data", Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`)),
  );
  if (seen[1] !== body) throw new Error(`Request ${number} was answered with ${JSON.stringify(seen[1])}`);
}

function timeOf(bytes: Buffer): number {
  const startMs = performance.now();
  checkReader(bytes);
  return performance.now() - startMs;
}

let slowestMs = 0;
let peakRss = 0;
let baseRss = 0;
for (let number = 1; number <= INPUTS; number += 1) {
  const bytes = toInput();
  const startMs = performance.now();
  try {
    checkReader(bytes);
    checkConnection(bytes, number);
  } catch (error) {
    console.error(
      `Seed ${values.seed}, input ${number}: ${JSON.stringify(bytes.toString("latin1").slice(0, 3000))}`,
    );
    throw error;
  }
  let tookMs = performance.now() - startMs;
  // A neighbour of the machine may have had the time: then it is quick at the second or third try.
  for (let tries = 0; tries < 3 && tookMs > 5; tries += 1) tookMs = Math.min(tookMs, timeOf(bytes));
  slowestMs = Math.max(slowestMs, tookMs);
  if (tookMs > SLOW_MS) throw new Error(`Input ${number} took ${tookMs} ms`);
  if (number % 10_000 === 0) {
    await Bun.sleep(0);
    const rss = process.memoryUsage.rss();
    if (number === Math.min(100_000, INPUTS)) baseRss = rss;
    peakRss = Math.max(peakRss, rss);
  }
}
const mebibytes = (bytes: number) => `${Math.round(bytes / 2 ** 20)} MB`;
console.log(
  `${INPUTS} inputs, seed ${values.seed}: ${answers} answers, ${ownAnswers} followed by another on the same connection; ` +
    `slowest ${slowestMs.toFixed(1)} ms; memory ${mebibytes(baseRss)} after a tenth, ${mebibytes(peakRss)} at its peak`,
);
