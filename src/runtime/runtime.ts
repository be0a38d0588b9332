// Runs all subscriptions of this relay: starts, updates, replaces and drains them to match the config, and reports readiness.
//
// Each subscription has a slot. While one drains, the others change at once; its own changes start when the drain ends.

import type { Subscription } from "#delivery/subscription.ts";
import { startTicks } from "#lib/ticks.ts";
import { type Plan, reconcile } from "./reconcile.ts";
import type { RunningSubscription } from "./running.ts";
import { startSubscription, type SubscriptionParts } from "./subscription.ts";

interface RuntimeOptions {
  readonly partsFor: (subscription: Subscription) => SubscriptionParts;
  /** Awaited before a successor starts or the slot is freed. Never rejects. */
  readonly onDrained: (running: RunningSubscription) => Promise<void>;
  readonly isConnected: () => boolean;
  /** Checks each distinct list of dead-letter endpoints, and more. null: usable; else the reason. Never rejects. */
  readonly checks: (subscriptions: readonly Subscription[]) => readonly Promise<string | null>[];
  /** Replicated streams without a majority of their servers. */
  readonly clusterFaults: () => readonly string[];
}

/** Whether this relay can do its job; `reasons` name no URL and no secret. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly string[];
  /** Interrupted or paused subscriptions: an operator decides about them; they do not make the relay unready. */
  readonly idle: readonly string[];
}

export interface Applied {
  readonly plan: Plan;
  /** Resolves when everything that had to drain has drained, within the grace period. Never rejects. */
  readonly settled: Promise<void>;
}

export interface Runtime {
  /** The same array until a subscription starts, changes or ends. */
  readonly subscriptions: readonly RunningSubscription[];
  readonly size: number;
  find: (id: string) => RunningSubscription | null;
  /** The subscription that should run, even while its predecessor still drains; null: none. */
  wanted: (id: string) => Subscription | null;
  /** Makes the running subscriptions match `wanted`: removed and changed ones drain; those with new terms only keep running. */
  apply: (wanted: readonly Subscription[], options: { readonly graceMs: number }) => Applied;
  readiness: () => Readiness;
  /** Drains all subscriptions at once. */
  stop: (graceMs: number) => Promise<void>;
}

interface Slot {
  running: RunningSubscription;
  /** Null: it ends once it is drained. */
  wanted: Subscription | null;
  /** Null: `running` is what is wanted. */
  draining: Promise<void> | null;
}

/** Cached until a subscription changes: much of what runs each second iterates over all of them. */
interface Listed {
  readonly running: readonly RunningSubscription[];
  readonly subscriptions: readonly Subscription[];
}

export const NOT_CONNECTED = "NATS is not connected";
/** Readiness must turn within 5 s of a fault. */
const CHECK_INTERVAL_MS = 2000;

export function startRuntime(wanted: readonly Subscription[], options: RuntimeOptions): Runtime {
  const slots = new Map<string, Slot>();
  let faults: readonly string[] = [];
  let isChecking = false;
  let isStopped = false;
  /** Null: rebuild it on the next read. */
  let listed: Listed | null = null;
  for (const subscription of wanted) start(subscription);

  function open(subscription: Subscription): RunningSubscription {
    return startSubscription(subscription, options.partsFor(subscription));
  }

  function start(wanted: Subscription): void {
    const slot = slots.get(wanted.id);
    if (slot === undefined) slots.set(wanted.id, { running: open(wanted), wanted, draining: null });
    else if (slot.draining === null) throw new Error(`Subscription ${wanted.id} is running already`);
    else slot.wanted = wanted;
    listed = null;
  }

  function slotOf(id: string): Slot {
    const slot = slots.get(id);
    if (slot === undefined) throw new Error(`Subscription ${id} is not running`);
    return slot;
  }

  function update(wanted: Subscription): void {
    const slot = slotOf(wanted.id);
    slot.wanted = wanted;
    slot.running.declare(wanted.isPaused ? "PAUSED" : "ACCEPTED");
    if (slot.draining === null) slot.running.update(wanted);
    listed = null;
  }

  function replace(id: string, wanted: Subscription | null, graceMs: number): void {
    const slot = slotOf(id);
    slot.wanted = wanted;
    if (wanted !== null) slot.running.declare(wanted.isPaused ? "PAUSED" : "ACCEPTED");
    slot.draining ??= drain(id, slot, graceMs);
  }

  async function drain(id: string, slot: Slot, graceMs: number): Promise<void> {
    await slot.running.stop(graceMs);
    await options.onDrained(slot.running);
    slot.draining = null;
    if (slot.wanted === null) {
      slots.delete(id);
    } else if (!isStopped) {
      slot.running = open(slot.wanted);
      slot.running.recover();
    }
    listed = null;
  }

  function apply(next: readonly Subscription[], graceMs: number): Applied {
    const plan = reconcile(
      [...slots.values()].flatMap((slot) => slot.wanted ?? []),
      next,
    );
    if (isStopped) return { plan, settled: Promise.resolve() };
    for (const id of plan.stop) replace(id, null, graceMs);
    for (const subscription of plan.replace) replace(subscription.id, subscription, graceMs);
    for (const subscription of plan.update) update(subscription);
    for (const subscription of plan.start) start(subscription);
    return { plan, settled: settled() };
  }

  async function settled(): Promise<void> {
    await Promise.all([...slots.values()].map(async ({ draining }) => draining));
  }

  function list(): Listed {
    if (listed !== null) return listed;
    const running = [...slots.values()].map((slot) => slot.running);
    listed = { running, subscriptions: running.map(({ subscription }) => subscription) };
    return listed;
  }

  function runningNow(): readonly RunningSubscription[] {
    return list().running;
  }

  async function check(): Promise<void> {
    if (isChecking || !options.isConnected()) return;
    isChecking = true;
    const results = await Promise.all(options.checks(list().subscriptions));
    faults = results.filter((reason) => reason !== null);
    isChecking = false;
  }

  const endChecks = startTicks(CHECK_INTERVAL_MS, () => void check()); // Checks never reject.

  return {
    get subscriptions() {
      return runningNow();
    },
    get size() {
      return slots.size;
    },
    find: (id) => slots.get(id)?.running ?? null,
    wanted: (id) => slots.get(id)?.wanted ?? null,
    apply: (next, { graceMs }) => apply(next, graceMs),
    readiness() {
      const subscriptions = runningNow();
      const reasons = new Set([
        ...(options.isConnected() ? [] : [NOT_CONNECTED]),
        ...faults,
        ...options.clusterFaults(),
        ...subscriptions.flatMap(faultsOf),
      ]);
      return { isReady: reasons.size === 0, reasons: [...reasons], idle: subscriptions.flatMap(idleOf) };
    },
    async stop(graceMs) {
      isStopped = true;
      endChecks();
      await Promise.all(runningNow().map((subscription) => subscription.stop(graceMs)));
      await settled();
    },
  };
}

function faultsOf({ subscription, state, stats }: RunningSubscription): string[] {
  const current = state();
  const { blocked } = stats();
  return [
    ...(current.kind === "waiting" && current.isFault
      ? [`Subscription ${subscription.id}: ${current.reason}`]
      : []),
    ...(blocked === null ? [] : [blocked]),
  ];
}

function idleOf({ subscription, state }: RunningSubscription): string[] {
  const current = state();
  switch (current.kind) {
    case "failed":
      return [`Subscription ${subscription.id} failed`];
    case "paused":
    case "stopped":
    case "scheduled":
      return [`Subscription ${subscription.id}: ${current.reason}`];
    case "waiting":
      return current.isFault ? [] : [`Subscription ${subscription.id}: ${current.reason}`];
    case "running":
    case "closed":
      return [];
  }
}
