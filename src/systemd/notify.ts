// Notifies systemd of the relay's state (sd_notify(3)): datagrams to the socket of NOTIFY_SOCKET, without a helper process.

import { dlopen, type Pointer, read } from "bun:ffi";

import { messageOf } from "#lib/errors.ts";

export interface Notify {
  /** Why systemd cannot be notified; null: it can, or did not ask for it. */
  readonly fault: string | null;
  /** False: nobody listens. */
  readonly isHeard: boolean;
  /** False: it was not sent. A line break in a value becomes a space. Only state changes wait while the queue is full. */
  readonly send: (fields: Readonly<Record<string, string | number | bigint>>) => boolean;
  /** CLOCK_MONOTONIC, which `RELOADING` needs; clocks of the engine begin with the process. */
  readonly monotonicMicros: () => bigint;
  readonly close: () => void;
}

const AF_UNIX = 1;
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const MSG_DONTWAIT_NOSIGNAL = 0x40 | 0x4000;
const CLOCK_MONOTONIC = 1;
const EAGAIN = 11;
const MAX_PATH_BYTES = 107;
/** Losing one of these would leave systemd with a wrong state; all others are repeated. */
const CHANGES = ["READY", "RELOADING", "STOPPING"];
const RETRIES = 20;
const RETRY_MS = 5;

const SILENT: Notify = {
  fault: null,
  isHeard: false,
  send: () => false,
  monotonicMicros: () => 0n,
  close: () => undefined,
};

/** Never throws: the relay also runs without notifications. */
export function openNotify(env: Readonly<Record<string, string | undefined>>): Notify {
  const path = env["NOTIFY_SOCKET"] ?? "";
  if (path === "") return SILENT;
  try {
    return connect(toAddress(path));
  } catch (error) {
    return { ...SILENT, fault: `Cannot notify systemd: ${messageOf(error)}` };
  }
}

function connect(address: Uint8Array): Notify {
  const library = openLibrary();
  const libc = library.symbols;
  const socket = libc.socket(AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
  const errno = () => read.i32(libc["__errno_location"]() as Pointer, 0);
  if (socket < 0) throw new Error(`no socket (errno ${errno()})`);

  function trySend(bytes: Uint8Array): boolean {
    const size = BigInt(bytes.length);
    const flags = MSG_DONTWAIT_NOSIGNAL;
    return libc.sendto(socket, bytes, size, flags, address, address.length) === size;
  }

  return {
    fault: null,
    isHeard: true,
    send(fields) {
      const bytes = toBytes(fields);
      const retries = CHANGES.some((name) => name in fields) ? RETRIES : 0;
      for (let retry = 0; ; retry += 1) {
        if (trySend(bytes)) return true;
        if (retry >= retries || errno() !== EAGAIN) return false;
        Bun.sleepSync(RETRY_MS);
      }
    },
    monotonicMicros() {
      const time = new BigInt64Array(2);
      libc.clock_gettime(CLOCK_MONOTONIC, time);
      const [seconds = 0n, nanos = 0n] = time;
      return seconds * 1_000_000n + nanos / 1000n;
    },
    close() {
      libc.close(socket);
      library.close();
    },
  };
}

/** musl answers to this name too. */
function openLibrary() {
  return dlopen("libc.so.6", {
    socket: { args: ["i32", "i32", "i32"], returns: "i32" },
    sendto: { args: ["i32", "buffer", "u64", "i32", "buffer", "u32"], returns: "i64" },
    close: { args: ["i32"], returns: "i32" },
    clock_gettime: { args: ["i32", "buffer"], returns: "i32" },
    __errno_location: { args: [], returns: "ptr" },
  });
}

/** A `sockaddr_un`: of a path, or, with `@`, of an abstract name. */
function toAddress(path: string): Uint8Array {
  const name = Buffer.from(path);
  const isAbstract = path.startsWith("@");
  if (!isAbstract && !path.startsWith("/"))
    throw new Error("NOTIFY_SOCKET is neither a path nor an abstract name");
  if (name.length > MAX_PATH_BYTES) throw new Error(`NOTIFY_SOCKET has more than ${MAX_PATH_BYTES} bytes`);
  const address = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}

function toBytes(fields: Readonly<Record<string, string | number | bigint>>): Uint8Array {
  const lines = Object.entries(fields).map(
    ([name, value]) => `${name}=${String(value).replaceAll(/\s*\n\s*/g, " ")}`,
  );
  return Buffer.from(lines.join("\n"));
}

const FEEDS_PER_PERIOD = 3;

/** Null: there is no watchdog, or it is for another process. */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  { pid }: { readonly pid: number },
): number | null {
  const periodMs = Number(env["WATCHDOG_USEC"]) / 1000;
  const isMeant = env["WATCHDOG_PID"] === undefined || Number(env["WATCHDOG_PID"]) === pid;
  return isMeant && periodMs >= FEEDS_PER_PERIOD ? Math.floor(periodMs / FEEDS_PER_PERIOD) : null;
}
