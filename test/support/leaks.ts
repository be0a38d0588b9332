// Secrets that can be recognised in whatever form they come out: as they are, encoded for a URL, a form or JSON, in base64, in hex.

import { randomBytes } from "node:crypto";

export interface Marked {
  /** Says whose secret it is, where it is found. */
  readonly name: string;
  /** What encodings leave alone: a marker's random part, a line of a key. */
  readonly core: string;
}

export interface SecretPurse {
  /** A new secret of characters that a URL, a form and JSON all encode. */
  readonly mark: (name: string) => string;
  /** A new secret of letters and digits. */
  readonly markPlain: (name: string) => string;
  /** What is a secret already, such as a key: `core` is the part to look for. */
  readonly keep: (name: string, core: string) => void;
  /** The names of those that a text holds, in any form. */
  readonly findIn: (text: string) => readonly string[];
}

const CORE_BYTES = 8;

export function createSecretPurse(): SecretPurse {
  const marked: (Marked & { readonly forms: readonly string[] })[] = [];
  const keep = (name: string, core: string) => void marked.push({ name, core, forms: toForms(core) });
  const newCore = (name: string) => {
    const core = randomBytes(CORE_BYTES).toString("hex");
    keep(name, core);
    return core;
  };
  return {
    mark: (name) => `s&=+ %"/${newCore(name)}?#`,
    markPlain: (name) => `s${newCore(name)}`,
    keep,
    findIn: (text) => marked.filter(({ forms }) => forms.some((form) => text.includes(form))).map(nameOf),
  };
}

function nameOf({ name }: Marked): string {
  return name;
}

function toForms(core: string): readonly string[] {
  const hex = Buffer.from(core).toString("hex");
  return [core, ...inBase64(core), ...inBase64(core).map(toUrlAlphabet), hex, hex.toUpperCase()];
}

/** As it looks within the base64 of a longer text, at each of the three places it may begin at. */
function inBase64(core: string): readonly string[] {
  return [0, 2, 3].map((blurred, shift) => {
    const bytes = Buffer.from(core.padStart(core.length + shift, "."));
    const whole = Math.floor((bytes.length * 8) / 6);
    return bytes.toString("base64").slice(blurred, whole);
  });
}

function toUrlAlphabet(base64: string): string {
  return base64.replaceAll("+", "-").replaceAll("/", "_");
}

/** A line in the middle of a PEM or of a store in base64: 40 characters of it. */
export function coreOf(text: string): string {
  const lines = text.split("\n").filter((line) => /^[\w+/=]{44,}$/.test(line));
  return (lines[Math.floor(lines.length / 2)] ?? "").slice(0, 40);
}
