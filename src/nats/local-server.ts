// Starts a nats-server for the demo: JetStream, loopback, a free port, its own directory.

import { connect, headers as createHeaders, type NatsConnection } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { RelayError } from "#lib/errors.ts";
import type { Header } from "#delivery/message.ts";

interface LocalServer {
  readonly url: string;
  /** As `nats-server --version` prints it. */
  readonly version: string;
  createStream: (name: string, subjects: readonly string[]) => Promise<void>;
  publish: (subject: string, body: string, headers: readonly Header[]) => Promise<void>;
  /** Ends the process. The caller removes its directory. */
  stop: () => Promise<void>;
}

const START_TIMEOUT_MS = 5000;
const POLL_INTERVAL_MS = 10;
const STOP_TIMEOUT_MS = 3000;
/** Debian installs it where only root looks. */
const FURTHER_DIRECTORIES = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** Searches `path` (as in `PATH`) and Debian's directories; null: not installed. An empty `path` finds nothing. */
export function findNatsServer(path: string): string | null {
  if (path === "") return null;
  return Bun.which("nats-server", { PATH: [path, ...FURTHER_DIRECTORIES].join(":") });
}

/** Rejects with a RelayError if the server does not start. */
export async function startLocalServer(program: string, directory: string): Promise<LocalServer> {
  // Detached: Ctrl-C on a terminal goes to the relay, which ends this server last.
  const child = Bun.spawn(
    [program, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", directory, "--ports_file_dir", directory],
    {
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(directory, "nats-server.log")),
      detached: true,
    },
  );
  async function stop(): Promise<void> {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await child.exited;
    clearTimeout(timer);
  }

  try {
    const url = await readUrl(directory, () => child.exitCode !== null);
    const connection = await connect({ servers: url });
    const version = connection.info?.version ?? "unknown";
    return {
      url,
      version,
      createStream: (name, subjects) => createStream(connection, { name, subjects }),
      publish: (subject, body, headers) => publish(connection, subject, { body, headers }),
      async stop() {
        await connection.close();
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw new RelayError("unavailable", `Cannot start ${program}: no answer from it`, { cause: error });
  }
}

/** The server writes a file that names its ports once it listens. */
async function readUrl(directory: string, hasExited: () => boolean): Promise<string> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline && !hasExited()) {
    const name = (await readdir(directory)).find((entry) => entry.endsWith(".ports"));
    const text = name === undefined ? "" : await readFile(join(directory, name), "utf8");
    const url = /nats:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0];
    if (url !== undefined) return url;
    await Bun.sleep(POLL_INTERVAL_MS);
  }
  throw new Error("No file with its ports");
}

async function createStream(
  connection: NatsConnection,
  { name, subjects }: { name: string; subjects: readonly string[] },
): Promise<void> {
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name, subjects: [...subjects] });
}

async function publish(
  connection: NatsConnection,
  subject: string,
  { body, headers }: { body: string; headers: readonly Header[] },
): Promise<void> {
  const block = createHeaders();
  for (const [name, value] of headers) block.append(name, value);
  await jetstream(connection).publish(subject, body, { headers: block });
}
