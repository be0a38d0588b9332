// What the tests of this room share: messages, settings, and a callback client that closes itself.

import { dlopen, ptr } from "bun:ffi";
import { connect, type Socket } from "node:net";
import { once } from "node:events";

import { type Callback, openCallback } from "#callback/client.ts";
import type { Message } from "#delivery/message.ts";
import type { CallbackSettings } from "#delivery/callback.ts";
import { toCallbackSettings } from "../support/subscription.ts";

export const NEVER = new AbortController().signal;

export function toMessage(body: string | Uint8Array = '{"a":1}', changes: Partial<Message> = {}): Message {
  return {
    stream: "ORDERS",
    sequence: 1,
    subject: "orders.new",
    timestampNanos: 1_700_000_000_000_000_000n,
    deliveryCount: 1,
    headers: [],
    unreadableHeaders: 0,
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    ...changes,
  };
}

export interface TestCallback extends Callback, AsyncDisposable {}

export function openTestCallback(
  url: URL,
  changes: Partial<CallbackSettings> & { readonly connections?: number } = {},
): TestCallback {
  const { connections = 1, ...settings } = changes;
  const callback = openCallback(
    toCallbackSettings(url, {
      displayUrl: url.origin,
      readTimeoutMs: 5000,
      maxConcurrentConnections: connections,
      ...settings,
    }),
    { connections },
  );
  return Object.assign(callback, { [Symbol.asyncDispose]: () => callback.close(0) });
}

const AF_INET = 2;
const SOCK_STREAM = 1;

/** A port that is listened on, whose queue of connections is full: to connect to it takes for ever. */
export async function openFullBacklog(): Promise<AsyncDisposable & { readonly url: URL }> {
  const libc = dlopen("libc.so.6", {
    socket: { args: ["int", "int", "int"], returns: "int" },
    bind: { args: ["int", "ptr", "int"], returns: "int" },
    listen: { args: ["int", "int"], returns: "int" },
    getsockname: { args: ["int", "ptr", "ptr"], returns: "int" },
    close: { args: ["int"], returns: "int" },
  });
  const address = new Uint8Array([AF_INET, 0, 0, 0, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  const length = new Int32Array([address.length]);
  const fd = libc.symbols.socket(AF_INET, SOCK_STREAM, 0);
  const failed =
    libc.symbols.bind(fd, ptr(address), address.length) +
    libc.symbols.listen(fd, 0) +
    libc.symbols.getsockname(fd, ptr(address), ptr(length));
  if (fd < 0 || failed !== 0) throw new Error("Cannot listen");
  const port = new DataView(address.buffer).getUint16(2);
  const filler: Socket = connect(port, "127.0.0.1").on("error", () => {});
  await once(filler, "connect");
  return {
    url: new URL(`http://127.0.0.1:${port}/`),
    [Symbol.asyncDispose]: async () => {
      filler.destroy();
      libc.symbols.close(fd);
      libc.close();
      await Promise.resolve();
    },
  };
}
