// The manual page of the config file, relay.config.json(5), from the schema, in the words of man(7).

import { type Description, describeConfig } from "#schema/describe.ts";
import { VERSION } from "#lib/version.ts";
import { CONFIG_FILE, CREDENTIALS_DIRECTORY } from "#systemd/unit.ts";
import { STARTER_TEXT } from "./init.ts";
import { escape } from "./manual.ts";

const REFERENCES: readonly (readonly [reference: string, meaning: string])[] = [
  [
    '{ "credential": "NAME" }',
    `A credential of systemd, read when the service starts. The file ${CREDENTIALS_DIRECTORY}/callback is "relay_callback".`,
  ],
  ['{ "file": "/path" }', "The contents of a file, read at each reload."],
  ['{ "env": "NAME" }', "A variable of the environment."],
];

export function toConfigManual(): string {
  const lines = [
    `.TH RELAY.CONFIG.JSON 5 "" "relay ${VERSION}" "File Formats"`,
    ".SH NAME",
    "relay.config.json \\- the config file of relay",
    ".SH DESCRIPTION",
    "The config file of",
    ".BR relay (1)",
    "is JSON. It says where messages come from (endpoints), how they are pushed (entrypoints), and who gets them",
    "(subscriptions). An unknown key is an error;",
    ".B relay check",
    "lists every fault, with line and column. A running relay takes a changed file whole or refuses it whole.",
    ".SH SECRETS",
    "In the place of a secret a reference may stand:",
    ...REFERENCES.flatMap(([reference, meaning]) => toTerm(reference, meaning)),
    ".SH KEYS",
    "Each entry names the key, and its default in brackets.",
    ...describeConfig().flatMap(toSection),
    ".SH EXAMPLE",
    ".nf",
    escape(STARTER_TEXT.trimEnd()),
    ".fi",
    ".SH FILES",
    ...toTerm("./relay.config.json", "Where it is there and no other is named."),
    ...toTerm(CONFIG_FILE, "Of the service."),
    ...toTerm("/usr/share/relay/relay.config.schema.json", "JSON Schema, as relay schema prints it."),
    ".SH SEE ALSO",
    ".BR relay (1)",
  ];
  return `${lines.join("\n")}\n`;
}

function toSection({ name, rows }: Description): string[] {
  const keys = rows.flatMap(({ key, fallback, meaning }) =>
    toTerm(fallback === "" ? key : `${key} [${fallback.replaceAll("`", "")}]`, meaning),
  );
  return [`.SS ${escape(name)}`, ...keys];
}

/** `term` is no argument of a macro, which would take its quotes. */
function toTerm(term: string, markdown: string): string[] {
  return [".TP", String.raw`\fB${escape(term)}\fR`, toText(markdown)];
}

/** Code of Markdown becomes bold, a link its text. */
function toText(markdown: string): string {
  const text = markdown.replaceAll(/\[([^\]`]*)\]\([^)]*\)/g, "$1");
  return escape(text).replaceAll(/`([^`]*)`/g, String.raw`\fB$1\fR`);
}
