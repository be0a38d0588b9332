// Real nats-servers for tests: each on a free port, with a directory of its own, gone when the test is.

import { connect as connectSocket, createServer, type Server } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type ConnectionOptions, connect, type Msg, type NatsConnection } from "@nats-io/transport-node";

import { eventually } from "./eventually.ts";

export interface NatsServer extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  readonly pid: number | null;
  /** SIGKILL, and waits for the end. */
  kill: () => Promise<void>;
  /** SIGTERM, and waits for the end. */
  terminate: () => Promise<void>;
  /** Starts it again on the same port and the same store; `configText` replaces the text given before. */
  restart: (configText?: string) => Promise<void>;
  signal: (name: NodeJS.Signals) => void;
  /** A plain client, closed with the server. */
  connect: (options?: ConnectionOptions) => Promise<NatsConnection>;
}

export interface NatsServerOptions {
  /** Added to the config file: `authorization`, `tls`, `leafnodes`, `cluster`, `max_payload`, … */
  readonly configText?: string;
  /** Of JetStream. */
  readonly domain?: string;
  readonly jetstream?: boolean;
  readonly name?: string;
  readonly port?: number;
  /** The program; else that of `findNatsServer`. */
  readonly binary?: string;
}

const FURTHER_PLACES = "/usr/local/sbin:/usr/sbin:/sbin";

/**
 * What `NATS_SERVER` names: a path, a version, or `newest`; else what Debian installs, the oldest version that Relay
 * supports. Throws if it cannot be had.
 */
export function findNatsServer(): string {
  const wanted = process.env["NATS_SERVER"] ?? "";
  if (wanted === "newest") return fetchNatsServer();
  if (/^\d+\.\d+\.\d+$/.test(wanted)) return fetchNatsServer(wanted);
  if (wanted !== "") return wanted;
  const found = Bun.which("nats-server", { PATH: `${process.env["PATH"] ?? ""}:${FURTHER_PLACES}` });
  if (found === null) throw new Error("nats-server is not installed");
  return found;
}

/** Fetched once, into a cache; the newest version unless told otherwise. Throws if it cannot be had. */
export function fetchNatsServer(version?: string): string {
  const script = new URL("../../.ci/nats-server", import.meta.url).pathname;
  const { exitCode, stdout, stderr } = Bun.spawnSync([
    "sh",
    script,
    ...(version === undefined ? [] : [version]),
  ]);
  if (exitCode === 0) return stdout.toString().trim();
  throw new Error(`Cannot fetch nats-server ${version ?? "(newest)"}: ${stderr.toString().trim()}`);
}

export async function startNatsServer(options: NatsServerOptions = {}): Promise<NatsServer> {
  const directory = await mkdtemp(join(tmpdir(), "relay-nats-"));
  const port = options.port ?? (await freePort());
  const binary = options.binary ?? findNatsServer();
  const clients: NatsConnection[] = [];
  let configText = options.configText ?? "";
  let child = await launch();

  async function launch(): Promise<Bun.Subprocess> {
    const config = join(directory, "nats.conf");
    await writeFile(config, toConfig(options, { port, directory, configText }));
    const log = Bun.file(join(directory, "log"));
    const started = Bun.spawn([binary, "-c", config], { stdin: "ignore", stdout: log, stderr: log });
    const hasStarted = await eventually(async () => started.exitCode !== null || (await accepts(port)), {
      what: `nats-server on port ${port}`,
    });
    if (hasStarted && started.exitCode === null) return started;
    const text = await log.text();
    await rm(directory, { recursive: true, force: true });
    throw new Error(`nats-server ended: ${text}`);
  }

  async function end(name: NodeJS.Signals): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) child.kill(name);
    await child.exited;
  }

  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    directory,
    get pid() {
      return child.exitCode === null && child.signalCode === null ? child.pid : null;
    },
    kill: () => end("SIGKILL"),
    terminate: () => end("SIGTERM"),
    async restart(text) {
      await end("SIGKILL");
      configText = text ?? configText;
      child = await launch();
    },
    signal: (name) => child.kill(name),
    async connect(clientOptions) {
      const client = await connect({
        servers: `127.0.0.1:${port}`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 50,
        ...clientOptions,
      });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(clients.map((client) => client.close()));
      await end("SIGKILL");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly NatsServer[];
  readonly urls: readonly string[];
}

/** With a JetStream meta leader; of three unless told otherwise. */
export async function startNatsCluster({
  size = 3,
  binary = findNatsServer(),
}: { size?: number; binary?: string } = {}): Promise<NatsCluster> {
  const routePorts = await Promise.all(Array.from({ length: size }, () => freePort()));
  const routes = routePorts.map((port) => `nats://127.0.0.1:${port}`).join(", ");
  const servers = await Promise.all(
    routePorts.map((port, index) =>
      startNatsServer({
        name: `n${index + 1}`,
        binary,
        configText: `cluster { name: test, listen: "127.0.0.1:${port}", routes: [${routes}] }`,
      }),
    ),
  );
  const [first] = servers;
  if (first !== undefined) {
    const client = await first.connect();
    const what = "a JetStream meta leader";
    await eventually(async () => isWithoutError(await client.request("$JS.API.INFO", "", { timeout: 500 })), {
      what,
    });
  }
  return {
    servers,
    urls: servers.map(({ url }) => url),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
}

function isWithoutError(answer: Msg): boolean {
  return answer.json<{ error?: unknown }>().error === undefined;
}

/** Below those that Linux gives to outgoing connections: one of these could take it while a server is down. */
const PORTS = { first: 10_000, blocks: 110, blockSize: 200 };

let ports: Promise<() => number> | null = null;

/** A port that nothing listens on just now, and that no other process of tests takes, even while its server is down. */
export async function freePort(): Promise<number> {
  const nextPort = await (ports ??= claimPorts());
  for (;;) {
    const port = nextPort();
    if (await canListen(port)) return port;
  }
}

/** Each process has a block of ports of its own: it listens on the first of them for as long as it lives. */
async function claimPorts(): Promise<() => number> {
  for (;;) {
    const block = Math.floor(Math.random() * PORTS.blocks);
    const first = PORTS.first + block * PORTS.blockSize;
    const claim = createServer();
    if (!(await startsToListen(claim, first))) continue;
    claim.unref();
    let given = 0;
    return () => first + 1 + (given++ % (PORTS.blockSize - 1));
  }
}

async function canListen(port: number): Promise<boolean> {
  const server = createServer();
  if (!(await startsToListen(server, port))) return false;
  await new Promise((resolve) => server.close(resolve));
  return true;
}

function startsToListen(server: Server, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  server.once("error", () => resolve(false));
  server.listen(port, "127.0.0.1", () => resolve(true));
  return promise;
}

function accepts(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connectSocket({ port, host: "127.0.0.1" });
  socket.once("connect", () => resolve(true));
  socket.once("error", () => resolve(false));
  return promise.finally(() => socket.destroy());
}

function toConfig(
  options: NatsServerOptions,
  { port, directory, configText }: { port: number; directory: string; configText: string },
): string {
  const store = join(directory, "store");
  const domain = options.domain === undefined ? "" : `, domain: ${options.domain}`;
  return [
    `listen: "127.0.0.1:${port}"`,
    `server_name: ${options.name ?? `test-${port}`}`,
    ...(options.jetstream === false ? [] : [`jetstream { store_dir: "${store}"${domain} }`]),
    configText,
    "",
  ].join("\n");
}
