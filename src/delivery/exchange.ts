// One attempt at a callback as it went: the request, the response, and the outcome. It may have taken two HTTP exchanges.

import type { Mask } from "#lib/mask.ts";
import type { Outcome } from "./outcome.ts";

/** By lower-case name; a list if a header came more than once. */
export type ResponseHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface Exchange {
  readonly outcome: Outcome;
  readonly startedAt: Date;
  readonly durationMs: number;
  /** A byte of the request may have been sent. */
  readonly sent: boolean;
  /** The signal or `close` aborted it: the outcome is an exception that says nothing about the callback. */
  readonly aborted: boolean;
  readonly resends: number;
  /** Number of message headers that could not be sent. */
  readonly droppedHeaders: number;
  readonly request: {
    readonly method: string;
    /** The URL without secrets. */
    readonly url: string;
    /** Name and value alternating; credentials and other secrets of the config are hidden. */
    readonly headers: readonly string[];
  };
  /** Null: no status arrived. */
  readonly response: {
    /** By lower-case name. */
    readonly headers: ResponseHeaders;
    /** At most 64 KiB. */
    readonly body: Uint8Array;
    readonly truncated: boolean;
  } | null;
  /** Masks the secrets that this request carried, and no others, in text that the callback controls. */
  readonly mask: Mask;
}
