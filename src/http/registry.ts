// The subscriptions as the API needs them: listed, commanded, and those made by API written.

import type { BodyFault } from "#config/parse-subscription.ts";
import type { Command } from "#delivery/status.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { Exchange } from "#callback/client.ts";
import type { RunningSubscription } from "#runtime/running.ts";

export interface Registered {
  readonly running: RunningSubscription;
  readonly origin: "file" | "api";
  /** Of what was made by API; null: it is from the file. */
  readonly revision: number | null;
  /** As it is written, secrets masked. */
  readonly definition: unknown;
}

export type WriteOutcome =
  | { readonly kind: "written"; readonly id: string; readonly revision: number; readonly isNew: boolean }
  | { readonly kind: "invalid"; readonly faults: readonly BodyFault[] }
  | { readonly kind: "read-only" }
  | { readonly kind: "missing" }
  /** Somebody else has changed it, or the id is taken. */
  | { readonly kind: "conflict"; readonly revision: number | null }
  /** It cannot be kept as it is. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unavailable"; readonly reason: string };

export interface WriteOptions {
  /** The entrypoint that it must be of; null: any. */
  readonly entrypoint: string | null;
  /** The application that it must be of; null: any. */
  readonly application: string | null;
  readonly signal: AbortSignal;
}

export interface Registry {
  readonly list: () => readonly Registered[];
  readonly find: (id: string) => Registered | null;
  readonly create: (body: unknown, options: WriteOptions) => Promise<WriteOutcome>;
  /** `revision`: what it must have; null: whatever it has. */
  readonly replace: (
    id: string,
    body: unknown,
    options: WriteOptions & { readonly revision: number | null },
  ) => Promise<WriteOutcome>;
  readonly remove: (
    id: string,
    options: { readonly revision: number | null; readonly signal: AbortSignal },
  ) => Promise<WriteOutcome>;
  readonly command: (id: string, command: Command) => void;
  /** Rejects with a RelayError. */
  readonly seek: (id: string, start: DeliverPolicy) => Promise<void>;
  /** Sends a marked sample with everything that the subscription is configured with. */
  readonly test: (id: string, body: Uint8Array) => Promise<Exchange>;
}
