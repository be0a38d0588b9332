// Lists the paths where the control socket of a relay on this host may be: from its config, and of the service.

import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import * as v from "valibot";
import { parseJsonText } from "#config/json-text.ts";
import { reference, toSource } from "#schema/secret.ts";
import { type ReadingContext, readSecret, reasonOf } from "#config/secrets.ts";
import { RelayError } from "#lib/errors.ts";
import { isObject } from "#lib/json.ts";
import { CREDENTIALS_DIRECTORY } from "#systemd/unit.ts";
import { findConfig } from "./config-path.ts";

export interface SocketPlaces {
  /** The config file that was named; undefined: none was. */
  readonly named: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const SOCKET_NAME = "relay.sock";
const SERVICE_SOCKET = "/run/relay/relay.sock";
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/**
 * Absolute paths, the likeliest first: a named config leads to its own relay before it leads to that of the service. A
 * config with faults is no obstacle. Throws a RelayError if the named file cannot be read.
 */
export function listSockets({ named, env }: SocketPlaces): readonly string[] {
  const path = findConfig(named);
  const file = readSettings(path, { isNamed: named !== undefined, env });
  const directory = dirname(resolve(path));
  const toPath = (text: string | null) => (text === null ? [] : [resolve(directory, text)]);
  const written = toPath(file.stateDirectory);
  const usual = toPath(firstOf(env["STATE_DIRECTORY"]) ?? ".relay");
  const states = (written.length > 0 ? written : usual).map((state) => join(state, SOCKET_NAME));
  const runtime = toPath(firstOf(env["RUNTIME_DIRECTORY"])).map((own) => join(own, SOCKET_NAME));
  const service = [...runtime, SERVICE_SOCKET];
  const isOwnFirst = named !== undefined || written.length > 0;
  const others = isOwnFirst ? [...states, ...service] : [...service, ...states];
  return [...new Set([...toPath(file.controlSocket), ...others])];
}

interface Settings {
  readonly controlSocket: string | null;
  readonly stateDirectory: string | null;
}

function readSettings(
  path: string,
  { isNamed, env }: { isNamed: boolean; env: SocketPlaces["env"] },
): Settings {
  try {
    const { value } = parseJsonText(readConfig(path));
    const context = {
      env,
      directory: dirname(resolve(path)),
      readFile: (file: string) => readFileSync(file, "utf8"),
      serviceCredentials: CREDENTIALS_DIRECTORY,
    };
    return {
      controlSocket: textAt(value, ["server", "controlSocket"], context),
      stateDirectory: textAt(value, ["state", "directory"], context),
    };
  } catch (error) {
    if (isNamed) throw new RelayError("unavailable", `Cannot read ${path}: ${reasonOf(error)}`);
    return { controlSocket: null, stateDirectory: null };
  }
}

function readConfig(path: string): string {
  const { size } = statSync(path);
  if (size > MAX_CONFIG_BYTES) throw new Error(`it is larger than ${MAX_CONFIG_BYTES} bytes`);
  return readFileSync(path, "utf8");
}

/** What stands there, or what a reference there leads to; null: nothing. */
function textAt(value: unknown, path: readonly string[], context: ReadingContext): string | null {
  const found = path.reduce<unknown>((inner, key) => {
    return isObject(inner) && Object.hasOwn(inner, key) ? inner[key] : null;
  }, value);
  const text = v.is(reference, found) ? valueOf(readSecret(toSource(found), context)) : found;
  return typeof text === "string" && text !== "" ? text : null;
}

function valueOf(result: ReturnType<typeof readSecret>): string | null {
  return result.kind === "value" ? result.value : null;
}

/** systemd joins several directories by colons. */
function firstOf(directories: string | undefined): string | null {
  const first = directories?.split(":")[0] ?? "";
  return first === "" ? null : first;
}
