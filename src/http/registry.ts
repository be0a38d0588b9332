// The registry that the API needs: lists and commands subscriptions, and writes those made by API.

import type { BodyFault } from "#config/parse-subscription.ts";
import type { Command } from "#delivery/status.ts";
import type { DeliverPolicy, Subscription } from "#delivery/subscription.ts";
import type { Exchange } from "#callback/client.ts";
import type { RunningSubscription } from "#runtime/running.ts";

export interface Registered {
  /** As it is wanted; what runs may still be on its way there. */
  readonly subscription: Subscription;
  readonly running: Pick<RunningSubscription, "state" | "status" | "notStored" | "stats">;
  readonly origin: "file" | "api";
  /** Of what was made by API; null: it is from the file. */
  readonly revision: number | null;
  /** As it is written, secrets masked. */
  readonly definition: () => unknown;
}

/** Made by API, kept in the cluster, but of no use to this relay. */
export interface Unusable {
  readonly id: string;
  readonly reason: string;
}

export type WriteOutcome =
  | { readonly kind: "written"; readonly id: string; readonly revision: number; readonly isNew: boolean }
  | { readonly kind: "invalid"; readonly faults: readonly BodyFault[] }
  /** It is not the caller's to decide. */
  | { readonly kind: "forbidden"; readonly reason: string }
  | { readonly kind: "read-only" }
  | { readonly kind: "missing" }
  /** There is one of this id. */
  | { readonly kind: "taken"; readonly reason: string }
  /** It has another revision; null: it is no more, or that is not known. */
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

/** Null: whatever it has; else it must be one of these. */
export type WantedRevisions = readonly number[] | null;

export interface Registry {
  readonly list: () => readonly Registered[];
  readonly find: (id: string) => Registered | null;
  readonly unusable: () => readonly Unusable[];
  readonly create: (body: unknown, options: WriteOptions) => Promise<WriteOutcome>;
  readonly replace: (
    id: string,
    body: unknown,
    options: WriteOptions & { readonly revisions: WantedRevisions },
  ) => Promise<WriteOutcome>;
  readonly remove: (
    id: string,
    options: { readonly revisions: WantedRevisions; readonly signal: AbortSignal },
  ) => Promise<WriteOutcome>;
  /** Resolves when it is stored, or waits for that. Rejects with a RelayError. */
  readonly command: (id: string, command: Command) => Promise<void>;
  /** Rejects with a RelayError. */
  readonly seek: (id: string, start: DeliverPolicy) => Promise<void>;
  /** Sends a marked sample with everything that the subscription is configured with. Rejects as `command` does. */
  readonly test: (id: string, body: Uint8Array) => Promise<Exchange>;
}
