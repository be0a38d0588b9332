// The built binary, run for a test: its config in a directory of its own, its log read line by line.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "./eventually.ts";

export const BINARY = new URL("../../dist/relay", import.meta.url).pathname;

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export interface RelayProcess extends AsyncDisposable {
  readonly pid: number;
  /** `http://127.0.0.1:port`, once it listens. */
  url: () => Promise<string>;
  readonly logs: readonly LogLine[];
  /** What it printed that is no log line. */
  readonly output: readonly string[];
  stderr: () => string;
  /** Waits for a log line whose message starts so. */
  logged: (message: string) => Promise<LogLine>;
  signal: (name: NodeJS.Signals) => void;
  /** Resolves with the exit code: 128 and the number of the signal that killed it. */
  readonly exited: Promise<number>;
}

export interface RelayOptions {
  /** The config file, as an object; `server.listen` and the log level are set where they are missing. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Kept between runs of one test; default: a new one. */
  readonly directory?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts what is behind it, in its own place. */
  readonly wrapper?: readonly string[];
  /** Instead of the one built for this machine. */
  readonly binary?: string;
}

/** A directory that goes with the test. */
export async function temporaryDirectory(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "relay-test-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Starts `relay run`. Disposing kills it if it still runs. */
export async function startRelay(options: RelayOptions): Promise<RelayProcess> {
  const { config, directory, env = {}, wrapper = [], binary = BINARY } = options;
  await using stack = new AsyncDisposableStack();
  const home = directory ?? stack.use(await temporaryDirectory()).path;
  const path = join(home, "relay.config.json");
  const defaults = { server: { listen: "127.0.0.1:0" }, logs: { level: "debug" } };
  await writeFile(path, JSON.stringify({ ...defaults, ...config }, null, 2));
  const child = Bun.spawn([...wrapper, binary, "run", "--config", path], {
    cwd: home,
    env: { PATH: process.env["PATH"] ?? "", HOME: home, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const logs: LogLine[] = [];
  const output: string[] = [];
  let stderr = "";
  const reading = Promise.all([
    readLines(child.stdout, (line) => {
      if (line.startsWith("{")) logs.push(JSON.parse(line) as LogLine);
      else output.push(line);
    }),
    readLines(child.stderr, (line) => {
      stderr += `${line}\n`;
    }),
  ]);
  const exited = child.exited.then(async (exitCode) => {
    await reading;
    return exitCode;
  });
  stack.defer(async () => {
    if (child.exitCode === null) child.kill("SIGKILL");
    await exited;
  });
  const owned = stack.move();

  const find = (message: string) => logs.find((line) => line.message.startsWith(message));
  async function logged(message: string): Promise<LogLine> {
    return eventually(
      () => {
        const line = find(message);
        if (line === undefined && child.exitCode !== null) {
          throw new Error(`Relay ended with ${child.exitCode}: ${stderr}`);
        }
        return line;
      },
      { what: `log line "${message}"` },
    );
  }

  return {
    pid: child.pid,
    logs,
    output,
    logged,
    stderr: () => stderr,
    async url() {
      const { url } = await logged("Relay runs");
      return String(url).replace(/\/$/, "");
    },
    signal: (name) => child.kill(name),
    exited,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Runs a command of the binary to its end. */
export async function runRelay(
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const child = Bun.spawn([BINARY, ...args], {
    cwd: options.cwd ?? tmpdir(),
    env: options.env ?? { PATH: process.env["PATH"] ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

async function readLines(stream: ReadableStream<Uint8Array>, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  if (rest !== "") take(rest);
}

/** What each reload changed, of those that changed something. */
export function changesOf({ logs }: RelayProcess): readonly (readonly string[])[] {
  const all = logs.filter(({ message }) => message === "Config reloaded");
  return all.map(({ changes }) => changes as string[]).filter(([first]) => first !== "nothing changed");
}
