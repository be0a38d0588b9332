// How the relay is, in one answer.

import type { Readiness } from "#runtime/runtime.ts";

export interface Status {
  readonly version: string;
  readonly commit: string;
  readonly startedAt: string;
  readonly config: {
    readonly path: string;
    /** When the config that runs was loaded. */
    readonly loadedAt: string;
    /** Why the file that is there now was refused; null: it runs. */
    readonly refused: string | null;
    readonly warnings: readonly string[];
  };
  readonly nats: {
    readonly connected: boolean;
    readonly server: string | null;
    readonly serverVersion: string | null;
    readonly reconnects: number;
    readonly lastError: string | null;
    /** Why states and subscriptions made by API cannot be kept; null: they can. */
    readonly bucket: string | null;
  };
  readonly readiness: Readiness;
  /** How many are in which state. */
  readonly subscriptions: Readonly<Record<string, number>>;
}
