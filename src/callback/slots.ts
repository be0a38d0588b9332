// The connections of a subscription: a pool that reuses the last one first, or a new connection for each message.

import type { Exception } from "#delivery/outcome.ts";
import { onDescriptorFault } from "#lib/descriptors.ts";
import { type CallbackConnection, type ConnectionSettings, createCallbackConnection } from "./connection.ts";
import { toException } from "./exception.ts";

export interface Slots {
  /** An open connection, or a closed one to open. Give it back. */
  readonly take: () => CallbackConnection;
  /** An unused connection for one request, prepared or to be opened. Give it back. */
  readonly takeOwn: () => CallbackConnection;
  /** Prepares a connection for `takeOwn` within `limitMs`. Resolves with null when it is open. Never rejects. */
  readonly prepareOwn: (limitMs: number) => Promise<Exception | null>;
  readonly giveBack: (connection: CallbackConnection) => void;
  readonly openConnections: number;
  /** Closes the idle connections now and the others when they are given back. */
  readonly close: () => void;
  /** Closes prepared connections too, and gives up those in preparation. */
  readonly abandon: () => void;
}

interface SlotsSettings extends Omit<ConnectionSettings, "isOnce"> {
  /** Host and port, for messages. */
  readonly address: string;
  /** The most idle connections that are kept. */
  readonly maxFree: number;
}

/** After this time unused, a peer that expects a request may be closing the connection. */
const PREPARED_MS = 1000;

export function createSlots({ address, maxFree, ...settings }: SlotsSettings): Slots {
  /** Last in, first out, so that surplus connections become idle and close. */
  const free: CallbackConnection[] = [];
  const connections = new Set<CallbackConnection>();
  let prepared: CallbackConnection | null = null;
  let preparing: Preparation | null = null;
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const unfollow = onDescriptorFault(dropFree);

  function dropFree(): void {
    for (const connection of free.splice(0)) discard(connection);
  }

  function create(isOnce: boolean): CallbackConnection {
    const idleTimeoutMs = isOnce ? PREPARED_MS : settings.idleTimeoutMs;
    const connection = createCallbackConnection({ ...settings, idleTimeoutMs, isOnce });
    connections.add(connection);
    return connection;
  }

  function discard(connection: CallbackConnection): void {
    connection.drop();
    connections.delete(connection);
  }

  function takePrepared(): CallbackConnection | null {
    const connection = prepared;
    prepared = null;
    if (connection === null || isUsable(connection)) return connection;
    discard(connection);
    return null;
  }

  /** One timer for all, which runs only while a connection is idle. */
  function arm(): void {
    if (timer !== null) return;
    const ends = [...free, prepared].map((idle) => (idle?.isOpen === true ? idle.usableUntilMs : Infinity));
    const nextMs = Math.min(...ends);
    if (nextMs < Infinity) timer = setTimeout(sweep, Math.max(0, nextMs - performance.now()) + 1);
  }

  function sweep(): void {
    timer = null;
    for (const connection of free.splice(0)) {
      if (isUsable(connection)) free.push(connection);
      else discard(connection);
    }
    if (prepared !== null && !isUsable(prepared)) takePrepared();
    arm();
  }

  function prepareOwn(limitMs: number): Promise<Exception | null> {
    if (preparing !== null) return preparing.result;
    const ready = takePrepared();
    prepared = ready;
    if (ready !== null) return Promise.resolve(null);
    const connection = create(true);
    const { promise, resolve } = Promise.withResolvers<Exception | null>();
    const late = setTimeout(
      () => end(toException("timeout", `No connection to ${address} within ${limitMs} ms`)),
      limitMs,
    );
    const end = (exception: Exception | null) => {
      clearTimeout(late);
      preparing = null;
      if (exception === null) prepared = connection;
      else discard(connection);
      arm();
      resolve(exception);
    };
    preparing = { result: promise, end };
    connection.open(end);
    return promise;
  }

  return {
    take() {
      for (;;) {
        const connection = free.pop();
        if (connection === undefined) return create(false);
        if (isUsable(connection)) return connection;
        discard(connection);
      }
    },
    takeOwn: () => takePrepared() ?? create(true),
    prepareOwn,
    giveBack(connection) {
      const isKept = connection.isOpen && !connection.isOnce && !isClosed && free.length < maxFree;
      if (!isKept) return discard(connection);
      free.push(connection);
      arm();
    },
    get openConnections() {
      return [...connections].filter((connection) => connection.isOpen).length;
    },
    close() {
      isClosed = true;
      unfollow();
      dropFree();
    },
    abandon() {
      preparing?.end(toException("connect", `Cannot reach ${address}: interrupted`));
      if (prepared !== null) discard(prepared);
      prepared = null;
      if (timer !== null) clearTimeout(timer);
      timer = null;
    },
  };
}

interface Preparation {
  readonly result: Promise<Exception | null>;
  readonly end: (exception: Exception | null) => void;
}

function isUsable({ isOpen, usableUntilMs }: CallbackConnection): boolean {
  return isOpen && performance.now() < usableUntilMs;
}
