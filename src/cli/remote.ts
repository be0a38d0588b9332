// Runs a command that asks a running relay: finds the relay, and gives it a client, input and a terminal.

import { open } from "node:fs/promises";
import { createInterface } from "node:readline/promises";
import { messageOf, RelayError } from "#lib/errors.ts";
import { createClient } from "./client.ts";
import { findRelay, type RelayPlace } from "./find-relay.ts";
import { NOBODY_READS, type Output } from "./output.ts";
import type { Flags, RemoteCall, RemoteCommand } from "./remote-command.ts";
import { toScreen } from "./terminal.ts";

interface RemoteOptions {
  readonly args: readonly string[];
  /** `config` and `url` lead to the relay. */
  readonly flags: Flags;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stopping: AbortSignal;
}

const MAX_INPUT_BYTES = 65_536;

/** Resolves with the exit code. Rejects with a RelayError. */
export async function runRemote(command: RemoteCommand, options: RemoteOptions, io: Output): Promise<number> {
  const { args, flags, env, stopping } = options;
  command.check(flags, args);
  const textOf = (name: string) => (typeof flags[name] === "string" ? flags[name] : undefined);
  const whereabouts = { named: textOf("config"), url: textOf("url"), env, stopping };
  const toCall = (place: RelayPlace, output = io): RemoteCall => ({
    client: createClient(place, stopping),
    args,
    flags,
    io: output,
    screen: toScreen(process.stdout, env),
    nowMs: Date.now(),
    readInput,
    confirm: process.stdin.isTTY && process.stdout.isTTY ? (question) => ask(question, stopping) : null,
    stopping,
  });
  const [host, hosts] = [textOf("host"), textOf("hosts")];
  if (host !== undefined && hosts !== undefined) {
    throw new RelayError("usage", "--host names one host, --hosts several: give one of them");
  }
  try {
    if (host === undefined && hosts === undefined) {
      return await command.run(toCall(await findRelay(whereabouts)));
    }
    const { openFleet, runOnHosts } = await import("./fleet.ts");
    using fleet = await openFleet(whereabouts);
    if (host !== undefined) return await command.run(toCall(fleet.placeOf(host)));
    const isSure = flags["yes"] === true;
    return await runOnHosts(command, { fleet, pattern: hosts ?? "", toCall, flags, isSure, io });
  } catch (error) {
    if (stopping.reason === NOBODY_READS && error instanceof RelayError) return 0;
    throw error;
  }
}

/** Reads up to the limit of a test message, and fails if there is more. */
async function readInput(path: string): Promise<Uint8Array> {
  const name = path === "-" ? "standard input" : path;
  const bytes = await readStart(path).catch((error: unknown) => {
    throw new RelayError("unavailable", `Cannot read ${name}: ${messageOf(error)}`, { cause: error });
  });
  if (bytes.length <= MAX_INPUT_BYTES) return bytes;
  throw new RelayError("usage", `Cannot send ${name}: it has more than ${MAX_INPUT_BYTES} bytes`);
}

async function readStart(path: string): Promise<Uint8Array> {
  await using file = path === "-" ? null : await open(path);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of file === null ? process.stdin : file.createReadStream()) {
    const bytes = chunk as Uint8Array;
    chunks.push(bytes);
    length += bytes.length;
    if (length > MAX_INPUT_BYTES) break;
  }
  return Buffer.concat(chunks);
}

/** Only y and yes confirm; Ctrl-C and the end of the input do not. */
async function ask(question: string, stopping: AbortSignal): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new Promise<string>((resolve) => terminal.once("close", () => resolve("")));
  terminal.once("SIGINT", () => terminal.close());
  try {
    const answer = await Promise.race([terminal.question(question, { signal: stopping }), closed]);
    return /^y(?:es)?$/iu.test(answer.trim());
  } catch {
    return false;
  } finally {
    terminal.close();
  }
}
