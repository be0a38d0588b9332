// All subscriptions of this relay: starts them, tells how they are, drains them.

import type { Subscription } from "#delivery/subscription.ts";
import { startSubscription, type RunningSubscription, type SubscriptionParts } from "./subscription.ts";

export interface RuntimeOptions {
  readonly partsFor: (subscription: Subscription) => SubscriptionParts;
  readonly isConnected: () => boolean;
  /** Checks each distinct list of dead-letter endpoints: null when it is usable, else why not. Never rejects. */
  readonly deadLetterChecks: () => readonly Promise<string | null>[];
}

/** Whether this relay can do its job; `reasons` name no URL and no secret. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly string[];
  /** Interrupted or paused subscriptions: somebody's decision to take, not the relay's failure. */
  readonly idle: readonly string[];
}

export interface Runtime {
  readonly subscriptions: readonly RunningSubscription[];
  readiness: () => Readiness;
  /** Drains all subscriptions at once. */
  stop: (graceMs: number) => Promise<void>;
}

/** Readiness must turn within 5 s of a fault. */
const CHECK_INTERVAL_MS = 2000;

export function startRuntime(wanted: readonly Subscription[], options: RuntimeOptions): Runtime {
  const subscriptions = wanted.map((subscription) =>
    startSubscription(subscription, options.partsFor(subscription)),
  );
  let deadLetterFaults: readonly string[] = [];
  let isChecking = false;

  async function checkDeadLetters(): Promise<void> {
    if (isChecking || !options.isConnected()) return;
    isChecking = true;
    const results = await Promise.all(options.deadLetterChecks());
    deadLetterFaults = results.filter((reason) => reason !== null);
    isChecking = false;
  }

  const timer = setInterval(() => void checkDeadLetters(), CHECK_INTERVAL_MS); // Checks never reject.

  return {
    subscriptions,
    readiness() {
      const reasons = new Set([
        ...(options.isConnected() ? [] : ["NATS is not connected"]),
        ...deadLetterFaults,
        ...subscriptions.flatMap(faultsOf),
      ]);
      return { isReady: reasons.size === 0, reasons: [...reasons], idle: subscriptions.flatMap(idleOf) };
    },
    async stop(graceMs) {
      clearInterval(timer);
      await Promise.all(subscriptions.map((subscription) => subscription.stop(graceMs)));
    },
  };
}

function faultsOf({ subscription, state, stats }: RunningSubscription): string[] {
  const current = state();
  const { blocked } = stats();
  return [
    ...(current.kind === "waiting" ? [`Subscription ${subscription.id}: ${current.reason}`] : []),
    ...(blocked === null ? [] : [blocked]),
  ];
}

function idleOf({ subscription, state }: RunningSubscription): string[] {
  const current = state();
  switch (current.kind) {
    case "failed":
      return [`Subscription ${subscription.id} is interrupted`];
    case "asleep":
      return [`Subscription ${subscription.id}: ${current.reason}`];
    case "waiting":
    case "consuming":
    case "closed":
    case "stopped":
      return [];
  }
}
