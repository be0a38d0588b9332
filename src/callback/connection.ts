// One connection to the callback: dials, carries one request at a time, and closes if another request would not be safe.
//
//   closed --open--> dialling --> idle --send--> busy --answer--> idle
//     ^                 |          |              |   \--------> closed: the answer or its peer asks to close, or bytes are left over
//     '-----------------'----------'--------------'  failed, dropped, closed by the peer
//
// Bytes that arrive while it is idle close it: nobody asked for them, and they must not become the next answer.

import type { Socket } from "node:net";

import type { Exception } from "#delivery/outcome.ts";
import { type AnswerReader, createAnswerReader } from "./answer-reader.ts";
import type { Dial } from "./connector.ts";
import { CLOSED } from "./exception.ts";
import { type HttpRequest, writeRequest } from "./request-writer.ts";

/** The owner of the request in flight: one of these is called once, unless the connection is dropped. */
export interface Requester {
  /** The connection's `answer` holds it until this returns. `isTruncated`: part of the body was not kept. */
  readonly onAnswer: (isTruncated: boolean) => void;
  /** The answer broke a rule of HTTP (see `answer`), or the connection was lost with `error`. */
  readonly onBreak: (error: unknown) => void;
}

export interface CallbackConnection {
  /** Only when closed. Calls `onEnd` later, unless the connection is dropped first. */
  readonly open: (onEnd: (exception: Exception | null) => void) => void;
  /** Only when idle. May call `requester` before it returns. */
  readonly send: (request: HttpRequest, requester: Requester) => void;
  /** Closes it or gives up the dial, without a callback. */
  readonly drop: () => void;
  readonly isOpen: boolean;
  /** It carries a request, or has carried one. */
  readonly isOnce: boolean;
  /** It has carried an earlier request. */
  readonly isUsed: boolean;
  /** When the connection expires, on the clock of `performance.now`; defined while it is open. */
  readonly usableUntilMs: number;
  /** Of the last request. */
  readonly answer: AnswerReader;
}

export interface ConnectionSettings {
  readonly dial: Dial;
  readonly idleTimeoutMs: number;
  /** The maximum age, even if busy: the name may resolve to another address by then. */
  readonly maxAgeMs: number;
  /** Closes after its first answer. */
  readonly isOnce: boolean;
}

/** The peer may close a little before the time that it announces. */
const KEEP_ALIVE_MARGIN_MS = 1000;
/** The side that closes first cannot reuse the port for a minute: for short connections, let it be the peer. */
const PEER_CLOSES_WITHIN_MS = 1000;

export function createCallbackConnection({
  dial,
  idleTimeoutMs,
  maxAgeMs,
  isOnce,
}: ConnectionSettings): CallbackConnection {
  const answer = createAnswerReader();
  let socket: Socket | null = null;
  let giveUpDial: (() => void) | null = null;
  let requester: Requester | null = null;
  let renewAtMs = 0;
  let usableUntilMs = 0;
  let isUsed = false;

  function adopt(dialled: Socket): void {
    const now = performance.now();
    socket = dialled;
    isUsed = false;
    renewAtMs = now + maxAgeMs;
    usableUntilMs = Math.min(renewAtMs, now + idleTimeoutMs);
    dialled.on("data", (chunk: Buffer) => {
      if (socket === dialled) receive(chunk);
      else dialled.destroy();
    });
    dialled.on("end", () => {
      if (socket === dialled) receiveEnd();
    });
    dialled.once("error", (error) => {
      if (socket === dialled) lose(error);
    });
    dialled.once("close", () => {
      if (socket === dialled) lose(CLOSED);
    });
    if (dialled.destroyed) close();
    else dialled.resume();
  }

  function receive(chunk: Buffer): void {
    if (requester === null) return close();
    switch (answer.read(chunk)) {
      case "incomplete":
        return;
      case "complete":
        return complete(requester);
      case "too-long":
        return conclude(requester, true);
      case "broken":
        return lose(null);
    }
  }

  function receiveEnd(): void {
    if (requester === null) return close();
    const reading = answer.end();
    if (reading === "complete") conclude(requester, false);
    else lose(reading === "broken" ? null : CLOSED);
  }

  function complete(answered: Requester): void {
    // The answer came before the whole request was sent: the rest would be read as the next request.
    const isSent = socket?.writableLength === 0;
    if (isOnce && isSent) leaveToPeer();
    if (isOnce || !isSent || !answer.isReusable) return conclude(answered, false);
    usableUntilMs = Math.min(renewAtMs, performance.now() + Math.min(idleTimeoutMs, announcedMs()));
    requester = null;
    answered.onAnswer(false);
  }

  function announcedMs(): number {
    const { keepAliveMs } = answer;
    return Math.max(keepAliveMs - KEEP_ALIVE_MARGIN_MS, keepAliveMs / 2);
  }

  function leaveToPeer(): void {
    const left = socket;
    socket = null;
    const timer = setTimeout(() => left?.destroy(), PEER_CLOSES_WITHIN_MS);
    left?.once("close", () => clearTimeout(timer));
  }

  /** The answer is complete, and the connection closes with it. */
  function conclude(answered: Requester, isTruncated: boolean): void {
    close();
    answered.onAnswer(isTruncated);
  }

  function lose(error: unknown): void {
    const broken = requester;
    close();
    broken?.onBreak(error);
  }

  function close(): void {
    const closed = socket;
    socket = null;
    requester = null;
    closed?.destroy();
  }

  return {
    open(onEnd) {
      if (socket !== null || giveUpDial !== null) throw new Error("The connection is not closed");
      giveUpDial = dial((dialled) => {
        giveUpDial = null;
        if (dialled.kind === "failed") return onEnd(dialled.exception);
        adopt(dialled.socket);
        onEnd(null);
      });
    },
    send(request, next) {
      if (socket === null || requester !== null) throw new Error("The connection is not idle");
      answer.reset();
      isUsed = true;
      requester = next;
      writeRequest(socket, request);
    },
    drop() {
      giveUpDial?.();
      giveUpDial = null;
      close();
    },
    get isOpen() {
      return socket !== null;
    },
    isOnce,
    get isUsed() {
      return isUsed;
    },
    get usableUntilMs() {
      return usableUntilMs;
    },
    answer,
  };
}
