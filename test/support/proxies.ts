// Real proxies for tests, each on a free port; what they call sees them come from an address of their own.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Proxy } from "#delivery/callback.ts";
import { eventually } from "./eventually.ts";
import { freePort } from "./nats-server.ts";
import { startTcpReceiver } from "./receiver.ts";

export interface TestProxy extends AsyncDisposable {
  /** As a route names it, with the right credentials. */
  readonly proxy: Proxy;
  /** Where its connections to callbacks come from. */
  readonly outgoing: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

const FURTHER_PLACES = "/usr/local/sbin:/usr/sbin:/sbin";
const HOST = "127.0.0.1";
const END_WITHIN_MS = 2000;

/** An HTTP proxy: forwards `http:`, and `CONNECT` to any port. */
export function startTinyproxy(credentials: Credentials | null = null): Promise<TestProxy> {
  const outgoing = "127.0.0.11";
  return startProgram("tinyproxy", {
    type: "http",
    outgoing,
    credentials,
    toArguments: (configFile) => ["-d", "-c", configFile],
    toConfig: (port) => [
      `Port ${port}`,
      `Listen ${HOST}`,
      `Bind ${outgoing}`,
      "Timeout 60",
      "LogLevel Critical",
      ...(credentials === null ? [] : [`BasicAuth ${credentials.username} ${credentials.password}`]),
    ],
  });
}

/** SOCKS 5. */
export function startMicrosocks(credentials: Credentials | null = null): Promise<TestProxy> {
  const outgoing = "127.0.0.12";
  const login = credentials === null ? [] : ["-u", credentials.username, "-P", credentials.password];
  return startProgram("microsocks", {
    type: "socks5",
    outgoing,
    credentials,
    toArguments: (_configFile, port) => ["-i", HOST, "-p", String(port), "-b", outgoing, ...login],
    toConfig: () => [],
  });
}

/** SOCKS 4 and 5. It knows no users but those of the host. */
export function startDante(type: "socks4" | "socks5"): Promise<TestProxy> {
  const outgoing = "127.0.0.13";
  const anywhere = "from: 0.0.0.0/0 to: 0.0.0.0/0";
  return startProgram("danted", {
    type,
    outgoing,
    credentials: null,
    toArguments: (configFile) => ["-f", configFile],
    toConfig: (port, directory) => [
      `logoutput: ${join(directory, "log")}`,
      `internal: ${HOST} port = ${port}`,
      `external: ${outgoing}`,
      "clientmethod: none",
      "socksmethod: none",
      `client pass { ${anywhere} }`,
      `socks pass { ${anywhere} }`,
    ],
  });
}

interface Program {
  readonly type: Proxy["type"];
  readonly outgoing: string;
  readonly credentials: Credentials | null;
  readonly toArguments: (configFile: string, port: number) => readonly string[];
  /** Lines. */
  readonly toConfig: (port: number, directory: string) => readonly string[];
}

async function startProgram(
  name: string,
  { type, outgoing, credentials, toArguments, toConfig }: Program,
): Promise<TestProxy> {
  const program = Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:${FURTHER_PLACES}` });
  if (program === null) throw new Error(`${name} is not installed`);
  const directory = await mkdtemp(join(tmpdir(), "relay-proxy-"));
  const port = await freePort();
  const configFile = join(directory, "config");
  await writeFile(configFile, `${toConfig(port, directory).join("\n")}\n`);
  const output = Bun.file(join(directory, "output"));
  // Dante has a process for each of its tasks, and waits for all of them where it is asked to end.
  const child = Bun.spawn([program, ...toArguments(configFile, port)], {
    stdin: "ignore",
    stdout: output,
    stderr: output,
    detached: true,
  });
  const stop = async () => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => process.kill(-child.pid, "SIGKILL"), END_WITHIN_MS);
    await child.exited;
    clearTimeout(timer);
    await rm(directory, { recursive: true, force: true });
  };
  await eventually(() => child.exitCode !== null || isListening(port), { what: `${name} on port ${port}` });
  if (child.exitCode !== null) {
    const text = await output.text();
    await stop();
    throw new Error(`${name} ended: ${text}`);
  }
  return {
    proxy: toProxy(type, { port, credentials }),
    outgoing,
    [Symbol.asyncDispose]: stop,
  };
}

/** A proxy of the loopback, as a route names it. */
export function toProxy(
  type: Proxy["type"],
  { port, credentials = null }: { readonly port: number; readonly credentials?: Credentials | null },
): Proxy {
  return {
    type,
    host: HOST,
    port,
    username: credentials?.username ?? null,
    password: credentials?.password ?? null,
  };
}

async function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ port, host: HOST });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

export interface Socks4aProxy extends TestProxy {
  /** The names it was asked for. */
  readonly names: readonly string[];
}

const SOCKS4_HEAD_BYTES = 8;
const GRANTED = Buffer.of(0, 90, 0, 0, 0, 0, 0, 0);
const OTHER_USER = Buffer.of(0, 93, 0, 0, 0, 0, 0, 0);

/** SOCKS 4a, which no package speaks: every name is this host to it. Only `username` may use it. */
export async function startSocks4aProxy(username: string): Promise<Socks4aProxy> {
  const names: string[] = [];
  const outgoing = "127.0.0.14";
  const receiver = await startTcpReceiver((socket) => {
    socket.once("data", (request: Buffer) => {
      const [user = "", name = ""] = request.subarray(SOCKS4_HEAD_BYTES).toString().split("\0");
      names.push(name);
      if (user !== username) {
        socket.end(OTHER_USER);
        return;
      }
      pipeTo(socket, { port: request.readUInt16BE(2), localAddress: outgoing });
    });
  });
  return {
    proxy: toProxy("socks4", { port: receiver.port, credentials: { username, password: "" } }),
    outgoing,
    names,
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

function pipeTo(socket: Socket, { port, localAddress }: { port: number; localAddress: string }): void {
  const onward = connect({ host: HOST, port, localAddress });
  onward.on("error", () => socket.destroy());
  socket.once("close", () => onward.destroy());
  onward.once("connect", () => {
    socket.write(GRANTED);
    socket.pipe(onward).pipe(socket);
  });
}
