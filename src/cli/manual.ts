// Makes the manual page, relay(1), as man(7) source.

import { VERSION } from "#lib/version.ts";
import { CONFIG_FILE, CREDENTIALS_DIRECTORY } from "#systemd/unit.ts";
import type { ReferenceEntry, EntryOption } from "./reference.ts";

const EXIT_CODES: readonly (readonly [code: number, meaning: string])[] = [
  [0, "Fine, also after SIGTERM."],
  [1, "Failure."],
  [2, "Wrong usage."],
  [70, "A bug in Relay."],
  [78, "Invalid config."],
];

const FILES: readonly (readonly [path: string, meaning: string])[] = [
  ["./relay.config.json", "The config file, unless another one is named."],
  [CONFIG_FILE, "The config of the service."],
  [`${CREDENTIALS_DIRECTORY}/NAME`, 'A secret, in the config { "credential": "relay_NAME" }.'],
  ["/usr/share/relay", "JSON Schema of the config, alert rules for Prometheus, a dashboard for Grafana."],
  ["/run/relay/relay.sock", "The control socket of the service."],
  ["/var/lib/relay", "The state of the service."],
];

const ENVIRONMENT: readonly (readonly [name: string, meaning: string])[] = [
  ["RELAY_TOKEN", "The token for --url."],
  ["STATE_DIRECTORY, RUNTIME_DIRECTORY, CREDENTIALS_DIRECTORY", "Set by systemd."],
  ["HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "The proxy of the system, for callbacks that are to use it."],
];

export function toManual([program, ...commands]: readonly ReferenceEntry[]): string {
  const shown = commands.filter((entry) => entry.commands.length === 0);
  const lines = [
    `.TH RELAY 1 "" "relay ${VERSION}" "User Commands"`,
    ".SH NAME",
    "relay \\- push NATS JetStream messages to HTTP callbacks",
    ".SH SYNOPSIS",
    ".B relay",
    escape(program?.usage ?? ""),
    ".SH DESCRIPTION",
    "Relay reads messages from NATS JetStream streams and pushes each one to the HTTP callbacks that subscribed to it.",
    "It acknowledges by quality of service, retries, and keeps what a callback rejects on a dead-letter stream.",
    "One JSON file configures it.",
    ".SH COMMANDS",
    ...shown.flatMap(toCommand),
    ".SH EXIT STATUS",
    ...EXIT_CODES.flatMap(([code, meaning]) => toTerm(String(code), meaning)),
    ".SH FILES",
    ...FILES.flatMap(([path, meaning]) => toTerm(path, meaning)),
    ".SH ENVIRONMENT",
    ...ENVIRONMENT.flatMap(([name, meaning]) => toTerm(name, meaning)),
    ".SH SEE ALSO",
    ".BR relay.config.json (5),",
    ".BR systemd (1),",
    ".BR systemctl (1),",
    ".BR journalctl (1)",
  ];
  return `${lines.join("\n")}\n`;
}

function toCommand({ path, description, usage, options }: ReferenceEntry): string[] {
  return [
    `.SS "relay ${escape(path)} ${escape(usage).replaceAll('"', "")}"`,
    escape(`${capitalise(description)}.`),
    ...options.flatMap(({ flags, description: meaning }: EntryOption) =>
      toTerm(flags, `${capitalise(meaning)}.`),
    ),
  ];
}

function toTerm(term: string, meaning: string): string[] {
  return [".TP", `.B ${escape(term)}`, escape(meaning)];
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A dash stays one that can be copied; no text begins a request. */
export function escape(text: string): string {
  return text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll(/^([.'])/gm, "\\&$1");
}
