// The type of a command that asks a running relay: its usage, its help, its action; and its flags, parsed.

import { RelayError } from "#lib/errors.ts";
import { clean } from "#lib/printable.ts";
import type { Client } from "./client.ts";
import type { Output } from "./output.ts";
import { type Screen } from "./terminal.ts";

export type Flags = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface RemoteCall {
  readonly client: Client;
  /** What the command was called with, in the order of its usage. */
  readonly args: readonly string[];
  readonly flags: Flags;
  readonly io: Output;
  readonly screen: Screen;
  readonly nowMs: number;
  /** Bytes of a file, or of standard input for `-`. Rejects with a RelayError. */
  readonly readInput: (path: string) => Promise<Uint8Array>;
  /** Null: there is no terminal to ask for confirmation. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
  /** Aborts on a signal, or if nobody reads the output any more. */
  readonly stopping: AbortSignal;
}

export interface RemoteOption {
  /** As Commander writes it: `--to <where>`. */
  readonly flags: string;
  readonly description: string;
  /** It may be given several times: its flag is a list. */
  readonly isRepeatable?: boolean;
}

export function repeatable(flags: string, description: string): RemoteOption {
  return { flags, description, isRepeatable: true };
}

export interface RemoteCommand {
  /** As Commander writes it: `pause <id>`. */
  readonly usage: string;
  readonly description: string;
  readonly options: readonly RemoteOption[];
  /** Whole command lines. */
  readonly examples: readonly string[];
  /** Added to its help; null: nothing. */
  readonly note: string | null;
  /** Throws a RelayError `usage` before anything is asked. */
  readonly check: (flags: Flags, args: readonly string[]) => void;
  /** Resolves with the exit code. */
  readonly run: (call: RemoteCall) => Promise<number>;
}

export const JSON_OPTION: RemoteOption = { flags: "--json", description: "print JSON" };

/** Null: it was not given. */
export function textOf(flags: Flags, name: string): string | null {
  const value = flags[name];
  return typeof value === "string" ? value : null;
}

/** Of an option that may be repeated; empty: it was not given. */
export function textsOf(flags: Flags, name: string): readonly string[] {
  const value = flags[name];
  if (typeof value === "string") return [value];
  return typeof value === "object" ? value : [];
}

/** Null: it was not given. Throws a RelayError `usage`. */
export function wholeNumberOf(
  flags: Flags,
  { name, min, max }: { name: string; min: number; max: number },
): number | null {
  const text = textOf(flags, name);
  if (text === null) return null;
  const number = Number(text);
  if (/^\d{1,15}$/u.test(text) && number >= min && number <= max) return number;
  throw new RelayError(
    "usage",
    `--${name} takes a whole number from ${min} to ${max}, found "${clean(text)}"`,
  );
}
