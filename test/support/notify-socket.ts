// The other end of sd_notify: a unix datagram socket, which neither Bun nor Node has, made by libc.

import { dlopen } from "bun:ffi";
import { rmSync } from "node:fs";

export interface NotifySocket extends Disposable {
  /** What came, in order; each datagram by its fields. */
  readonly received: () => readonly Readonly<Record<string, string>>[];
}

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

/** `name`: a path, or with `@` a name without a file. */
export function openNotifySocket(name: string): NotifySocket {
  const { symbols: libc } = dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    bind: { args: ["i32", "buffer", "u32"], returns: "i32" },
    recv: { args: ["i32", "buffer", "u64", "i32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
  });
  const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), Buffer.from(name)]);
  if (name.startsWith("@")) address[2] = 0;
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (libc.bind(socket, address, address.length) !== 0) throw new Error(`Cannot bind ${name}`);
  const received: Readonly<Record<string, string>>[] = [];
  return {
    received() {
      const buffer = Buffer.alloc(4096);
      for (;;) {
        const size = Number(libc.recv(socket, buffer, BigInt(buffer.length), MSG_DONTWAIT));
        if (size < 0) return received;
        const lines = buffer.toString("utf8", 0, size).split("\n");
        received.push(Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2))));
      }
    },
    [Symbol.dispose]() {
      libc.close(socket);
      if (!name.startsWith("@")) rmSync(name, { force: true });
    },
  };
}
