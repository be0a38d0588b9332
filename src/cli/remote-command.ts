// A command about a running relay: how it is called, what its help says, and what it does.

import type { Client } from "./client.ts";
import type { Output } from "./output.ts";
import type { Screen } from "./terminal.ts";

export type Flags = Readonly<Record<string, string | boolean | undefined>>;

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
  /** Null: nobody is there to be asked. */
  readonly confirm: ((question: string) => Promise<boolean>) | null;
}

export interface RemoteOption {
  /** As Commander writes it: `--to <where>`. */
  readonly flags: string;
  readonly description: string;
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
  readonly check: (flags: Flags) => void;
  /** Resolves with the exit code. */
  readonly run: (call: RemoteCall) => Promise<number>;
}

export const JSON_OPTION: RemoteOption = { flags: "--json", description: "print the API's JSON" };
