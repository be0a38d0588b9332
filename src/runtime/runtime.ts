// All subscriptions of this relay: starts them, brings them to what is wanted, tells how they are, drains them.

import type { Subscription } from "#delivery/subscription.ts";
import { type Plan, reconcile } from "./reconcile.ts";
import type { RunningSubscription } from "./running.ts";
import { startSubscription, type SubscriptionParts } from "./subscription.ts";

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
  find: (id: string) => RunningSubscription | null;
  /**
   * Brings the subscriptions to what is wanted, one call after the other: those that go or change are drained, `graceMs` at
   * most, those that only have new terms go on.
   */
  apply: (wanted: readonly Subscription[], options: { readonly graceMs: number }) => Promise<Plan>;
  readiness: () => Readiness;
  /** Drains all subscriptions at once. */
  stop: (graceMs: number) => Promise<void>;
}

/** Readiness must turn within 5 s of a fault. */
const CHECK_INTERVAL_MS = 2000;

export function startRuntime(wanted: readonly Subscription[], options: RuntimeOptions): Runtime {
  const running = new Map<string, RunningSubscription>();
  let deadLetterFaults: readonly string[] = [];
  let isChecking = false;
  let isStopped = false;
  let applied: Promise<unknown> = Promise.resolve();
  for (const subscription of wanted) start(subscription);

  function start(subscription: Subscription): void {
    running.set(subscription.id, startSubscription(subscription, options.partsFor(subscription)));
  }

  async function applyInTurn(next: readonly Subscription[], graceMs: number): Promise<Plan> {
    await applied;
    const current = [...running.values()].map(({ subscription }) => subscription);
    const plan = reconcile(current, next);
    if (isStopped) return plan;
    for (const subscription of [...plan.update, ...plan.replace]) declare(subscription);
    for (const subscription of plan.update) running.get(subscription.id)?.update(subscription);
    await Promise.all([
      ...plan.stop.map((id) => remove(id, graceMs)),
      ...plan.replace.map(async (subscription) => {
        await running.get(subscription.id)?.stop(graceMs);
        if (isStopped) return;
        start(subscription);
        running.get(subscription.id)?.recover();
      }),
    ]);
    if (!isStopped) for (const subscription of plan.start) start(subscription);
    return plan;
  }

  function declare({ id, isPaused }: Subscription): void {
    running.get(id)?.declare(isPaused ? "PAUSED" : "ACCEPTED");
  }

  async function remove(id: string, graceMs: number): Promise<void> {
    await running.get(id)?.stop(graceMs);
    running.delete(id);
  }

  async function checkDeadLetters(): Promise<void> {
    if (isChecking || !options.isConnected()) return;
    isChecking = true;
    const results = await Promise.all(options.deadLetterChecks());
    deadLetterFaults = results.filter((reason) => reason !== null);
    isChecking = false;
  }

  const timer = setInterval(() => void checkDeadLetters(), CHECK_INTERVAL_MS); // Checks never reject.

  return {
    get subscriptions() {
      return [...running.values()];
    },
    find: (id) => running.get(id) ?? null,
    apply(next, { graceMs }) {
      const result = applyInTurn(next, graceMs);
      applied = result.catch(() => undefined);
      return result;
    },
    readiness() {
      const subscriptions = [...running.values()];
      const reasons = new Set([
        ...(options.isConnected() ? [] : ["NATS is not connected"]),
        ...deadLetterFaults,
        ...subscriptions.flatMap(faultsOf),
      ]);
      return { isReady: reasons.size === 0, reasons: [...reasons], idle: subscriptions.flatMap(idleOf) };
    },
    async stop(graceMs) {
      isStopped = true;
      clearInterval(timer);
      await Promise.all([...running.values()].map((subscription) => subscription.stop(graceMs)));
      await applied;
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
