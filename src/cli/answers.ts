// What a relay answered, held against what is shown of it: another program, or another version of this one, may have answered.

import { RelayError } from "#lib/errors.ts";
import type { Orphan, Reloaded, Status } from "#wire/status.ts";
import type { Application, ExchangeView, SubscriptionView } from "#wire/subscription.ts";

/** Each stands for all values of its kind, null for anything, a list for one of such. */
export type Sample =
  | string
  | number
  | boolean
  | null
  | readonly Sample[]
  | { readonly [key: string]: Sample };

const STATUS: Sample = {
  version: "",
  commit: "",
  startedAt: "",
  config: { path: "", loadedAt: "", refused: null, warnings: [""] },
  nats: {
    connected: true,
    server: null,
    serverVersion: null,
    reconnects: 0,
    lastError: null,
    bucket: null,
  },
  readiness: { isReady: true, reasons: [""], idle: [""] },
  unusable: [{ id: "", reason: "" }],
};

const SUBSCRIPTION: Sample = {
  id: "",
  origin: "",
  entrypoint: "",
  qos: "",
  callbackUrl: "",
  status: "",
  consumerStatus: "",
  state: "",
  source: { stream: "", consumer: "", subjects: [""] },
  held: 0,
  inFlight: 0,
  retrying: 0,
  oldestHeldSeconds: 0,
};

const EXCHANGE: Sample = {
  outcome: "",
  status: 0,
  durationMs: 0,
  request: { method: "", url: "", headers: [[""]] },
};

const RESPONSE: Sample = { headers: [[""]], body: "", truncated: true };

const ORPHAN: Sample = { consumer: "", stream: "", pending: 0, ackPending: 0 };

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

/** Each throws a RelayError where the answer is another one. */
export function toStatus(value: unknown): Status {
  expectLike(value, STATUS);
  return value as Status;
}

export function toSubscription(value: unknown): SubscriptionView {
  expectLike(value, SUBSCRIPTION);
  return value as SubscriptionView;
}

export function toApplication(value: unknown): Application {
  expectLike(value, { application: "", status: "", subscriptions: 0 });
  return value as Application;
}

export function toSubscriptionPage(value: unknown): Page<SubscriptionView> {
  expectLike(value, { items: [SUBSCRIPTION], next: null });
  return value as Page<SubscriptionView>;
}

export function toOrphanPage(value: unknown): Page<Orphan> {
  expectLike(value, { items: [ORPHAN], next: null });
  return value as Page<Orphan>;
}

export function toExchange(value: unknown): ExchangeView {
  expectLike(value, EXCHANGE);
  const exchange = value as ExchangeView;
  if (exchange.response !== null) expectLike(exchange.response, RESPONSE);
  return exchange;
}

export function toReloaded(value: unknown): Reloaded {
  expectLike(value, { changes: [""], warnings: [""], loadedAt: "" });
  return value as Reloaded;
}

/** Throws a RelayError where it is not. */
export function expectLike(value: unknown, sample: Sample): void {
  if (isLike(value, sample)) return;
  const why = "it is that of another version of Relay, or of another program";
  throw new RelayError("unavailable", `Cannot read the answer: ${why}`);
}

function isLike(value: unknown, sample: Sample): boolean {
  if (sample === null) return true;
  if (typeof sample !== "object") return typeof value === typeof sample;
  if (Array.isArray(sample)) {
    return Array.isArray(value) && value.every((item) => isLike(item, (sample[0] as Sample) ?? null));
  }
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(sample).every(([key, inner]) =>
    isLike((value as Readonly<Record<string, unknown>>)[key], inner),
  );
}
