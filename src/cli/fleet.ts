// `relay fleet`, `--host` and `--hosts`: asks the relays of a NATS account, by the config file or by way of a relay.

import { existsSync } from "node:fs";
import { loadNatsConfig } from "#config/load.ts";
import { openFleetClient } from "#app/fleet.ts";
import { toFleetView } from "#fleet/client.ts";
import { RelayError } from "#lib/errors.ts";
import { isObject, parseJson } from "#lib/json.ts";
import { clean, toSafeJson } from "#lib/printable.ts";
import { sleep } from "#lib/sleep.ts";
import { CREDENTIALS_DIRECTORY } from "#systemd/unit.ts";
import { type FleetHost, fleetViewSchema, type FleetView } from "#wire/fleet.ts";
import { parseAnswer } from "./answers.ts";
import { type Asking, createClient, expectDone, headersFor, PATIENT_MS, send } from "./client.ts";
import { findConfig } from "./config-path.ts";
import { findRelay, type RelayPlace, type Whereabouts } from "./find-relay.ts";
import type { Output } from "./output.ts";
import { toSpan } from "./relative-time.ts";
import type { Flags, RemoteCall, RemoteCommand } from "./remote-command.ts";
import { type Column, formatTable } from "./table.ts";
import { type Screen, toScreen } from "./terminal.ts";

interface OpenFleet extends Disposable {
  readonly list: () => Promise<FleetView>;
  readonly placeOf: (host: string) => RelayPlace;
}

type FleetWhereabouts = Whereabouts & { readonly stopping: AbortSignal };

const WATCH_MS = 2000;
const NAME = /^[A-Za-z0-9._-]{1,128}$/u;

/** Over NATS, as the config file says; without a file, or with `--url`, by way of a relay. Rejects with a RelayError. */
export async function openFleet(whereabouts: FleetWhereabouts): Promise<OpenFleet> {
  const path = findConfig(whereabouts.named);
  const isByConfig = whereabouts.url === undefined && (whereabouts.named !== undefined || existsSync(path));
  return isByConfig ? openOverNats(path, whereabouts) : openByRelay(whereabouts);
}

async function openByRelay(whereabouts: FleetWhereabouts): Promise<OpenFleet> {
  const place = await findRelay(whereabouts);
  const client = createClient(place, whereabouts.stopping);
  return {
    list: async () =>
      parseAnswer(fleetViewSchema, expectDone(await client.ask("GET", "api/fleet"), "list the relays")),
    placeOf: (host) => ({
      kind: "host",
      name: nameOf(host),
      send: (path, request) =>
        send(place, `api/fleet/${host}/${path}`, {
          ...request,
          headers: { ...headersFor(place, undefined), ...Object.fromEntries(new Headers(request.headers)) },
        }),
    }),
    [Symbol.dispose]: () => {},
  };
}

async function openOverNats(path: string, { env, stopping }: FleetWhereabouts): Promise<OpenFleet> {
  const config = await loadNatsConfig(path, { env, serviceCredentials: CREDENTIALS_DIRECTORY });
  const { client, close } = await openFleetClient(config, stopping);
  return {
    list: async () => toFleetView(await client.list(stopping)),
    placeOf: (host) => ({
      kind: "host",
      name: nameOf(host),
      send: (path, { method = "GET", headers, body, signal }) =>
        client.ask(host, {
          method,
          path: `/${path}`,
          headers: passedOf(headers),
          body: (body ?? null) as string | Uint8Array | null,
          signal: signal ?? stopping,
          limitMs: PATIENT_MS,
        }),
    }),
    [Symbol.dispose]: close,
  };
}

function passedOf(headers: RequestInit["headers"]): Readonly<Record<string, string>> {
  const { connection: _connection, ...passed } = Object.fromEntries(new Headers(headers));
  return passed;
}

function nameOf(host: string): string {
  if (NAME.test(host)) return host;
  throw new RelayError("usage", `--host takes the host.name of a relay, found "${clean(host)}"`);
}

interface FleetFlags extends FleetWhereabouts {
  readonly json: boolean;
  readonly watch: boolean;
}

/** Resolves with 0; with 1 if a relay is not ready, or there is none. */
export async function runFleet(options: FleetFlags, io: Output): Promise<number> {
  const { json, watch, stopping, env } = options;
  using fleet = await openFleet(options);
  const screen = toScreen(process.stdout, env);
  for (;;) {
    const found = await fleet.list();
    const text = json ? toSafeJson(found) : formatFleet(found, { screen, nowMs: Date.now() });
    io.stdout(watch && !json && screen.width !== null ? `\u001B[2J\u001B[H${text}` : text);
    const isSound = found.items.length > 0 && found.items.every(({ ready }) => ready);
    if (!watch) return isSound && found.duplicates.length === 0 ? 0 : 1;
    if (!(await sleep(WATCH_MS, stopping))) return 0;
  }
}

export function formatFleet(
  { items, duplicates }: FleetView,
  { screen, nowMs }: { screen: Screen; nowMs: number },
): string {
  if (items.length === 0) return 'No relay with "fleet" enabled answered.\n';
  const columns: readonly Column<FleetHost>[] = [
    { title: "HOST", textOf: ({ host }) => host, isWhole: true },
    {
      title: "READY",
      textOf: ({ ready }) => (ready ? "ready" : "not ready"),
      styleOf: ({ ready }) => (ready ? "green" : "red"),
    },
    {
      title: "SUBSCRIPTIONS",
      textOf: ({ subscriptions }) =>
        Object.entries(subscriptions)
          .map(([state, number]) => `${number} ${state}`)
          .join(", ") || "none",
    },
    { title: "PENDING", textOf: ({ pending }) => String(pending), isNumber: true },
    { title: "UP", textOf: ({ startedAt }) => toSpan(Math.max(0, nowMs - Date.parse(startedAt))) },
    { title: "VERSION", textOf: ({ version }) => version, isOptional: true },
  ];
  const table = formatTable(items, {
    columns,
    screen,
    noteOf: ({ reasons }) => (reasons.length === 0 ? null : { text: reasons.join("; "), style: "red" }),
  });
  const twice = duplicates.map(
    (host) => `Several relays are called ${clean(host)}: give each a host.name of its own\n`,
  );
  return `${table}${twice.join("")}`;
}

interface HostsOptions {
  readonly fleet: OpenFleet;
  /** `*` stands for any characters. */
  readonly pattern: string;
  readonly toCall: (place: RelayPlace, io: Output) => RemoteCall;
  readonly flags: Flags;
  /** `--yes`. */
  readonly isSure: boolean;
  readonly io: Output;
}

/**
 * Runs a command on each host that matches. The first request that would change something asks for confirmation of all.
 * With `--json`, one document holds the answers of all.
 */
export async function runOnHosts(command: RemoteCommand, options: HostsOptions): Promise<number> {
  const { fleet, pattern, toCall, flags, isSure, io } = options;
  if (flags["follow"] === true)
    throw new RelayError("usage", "--follow goes with one host: name it with --host");
  const isJson = flags["json"] === true;
  const hosts = await listHosts(fleet, pattern);
  const what = `${command.usage.split(" ")[0]} on ${hosts.length} hosts: ${hosts.join(", ")}`;
  let sure: Promise<boolean> | null = isSure ? Promise.resolve(true) : null;
  const items: HostAnswer[] = [];
  for (const host of hosts) {
    const captured = createCapture();
    if (!isJson) io.stdout(`== ${host}\n`);
    const call = toCall(fleet.placeOf(host), isJson ? captured : io);
    const confirmAll = () => (sure ??= confirmHosts(call, what));
    const client: RemoteCall["client"] = {
      ...call.client,
      async ask(method, path, asking) {
        const isSafe = isReading(method, path, asking?.body);
        if (!isSafe && !(await confirmAll())) throw new RelayError("usage", "Nothing was changed");
        return call.client.ask(method, path, asking);
      },
    };
    const result = await runOnHost(command, { ...call, client, confirm: confirmAll });
    if (result.error !== null && !isJson) io.stderr(`${host}: ${clean(result.error)}\n`);
    items.push({ host, ...result, ...captured.content(result.error) });
  }
  if (isJson) io.stdout(toSafeJson({ items }));
  return Math.max(...items.map(({ exitCode }) => exitCode));
}

interface HostAnswer {
  readonly host: string;
  readonly exitCode: number;
  /** What the command would have printed; null: nothing. */
  readonly answer: unknown;
  readonly error: string | null;
}

async function listHosts(fleet: OpenFleet, pattern: string): Promise<readonly string[]> {
  if (!/^[A-Za-z0-9._*-]{1,128}$/u.test(pattern)) {
    throw new RelayError("usage", `--hosts takes a pattern such as 'edge-*', found "${clean(pattern)}"`);
  }
  const matches = new RegExp(`^${pattern.replaceAll(".", "[.]").replaceAll("*", ".*")}$`, "u");
  const { items } = await fleet.list();
  const hosts = [...new Set(items.map(({ host }) => host))].filter((host) => matches.test(host)).sort();
  if (hosts.length === 0) throw new RelayError("unavailable", `No relay is called ${clean(pattern)}`);
  return hosts;
}

async function runOnHost(
  command: RemoteCommand,
  call: RemoteCall,
): Promise<Pick<HostAnswer, "exitCode" | "error">> {
  try {
    return { exitCode: await command.run(call), error: null };
  } catch (error) {
    if (!(error instanceof RelayError) || error.code === "usage") throw error;
    return { exitCode: 1, error: error.message };
  }
}

/** Keeps what a command prints as JSON, to put it into the document of all hosts. */
function createCapture() {
  let stdout = "";
  let stderr = "";
  return {
    stdout: (content: string | Uint8Array) =>
      void (stdout += typeof content === "string" ? content : new TextDecoder().decode(content)),
    stderr: (text: string) => void (stderr += text),
    content: (error: string | null): Pick<HostAnswer, "answer" | "error"> => ({
      answer: stdout === "" ? null : (parseJson(stdout) ?? stdout),
      error: error ?? (stderr === "" ? null : stderr.trimEnd()),
    }),
  };
}

/** A dry run changes nothing, whatever its method is. */
function isReading(method: string, path: string, body: Asking["body"]): boolean {
  const isDryRun = isObject(body) && body["dryRun"] === true;
  return method === "GET" || path.endsWith("/preview") || isDryRun;
}

async function confirmHosts({ confirm }: RemoteCall, what: string): Promise<boolean> {
  if (confirm !== null) return confirm(`${what}. Go on? [y/N] `);
  throw new RelayError("usage", `No terminal to ask for confirmation; use --yes for ${what}`);
}
