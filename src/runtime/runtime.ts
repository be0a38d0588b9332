// All subscriptions of this relay: starts them, brings them to what is wanted, tells how they are, drains them.
//
// Each has a place of its own. While one drains, the others change at once; what is wanted of it meanwhile begins when it has.

import type { Subscription } from "#delivery/subscription.ts";
import { startTicks } from "#lib/ticks.ts";
import { type Plan, reconcile } from "./reconcile.ts";
import type { RunningSubscription } from "./running.ts";
import { startSubscription, type SubscriptionParts } from "./subscription.ts";

interface RuntimeOptions {
  readonly partsFor: (subscription: Subscription) => SubscriptionParts;
  /** Whatever follows it waits for this. Never rejects. */
  readonly onDrained: (running: RunningSubscription) => Promise<void>;
  readonly isConnected: () => boolean;
  /** Checks each distinct list of dead-letter endpoints, and more: null when it is usable, else why not. Never rejects. */
  readonly checks: (subscriptions: readonly Subscription[]) => readonly Promise<string | null>[];
  /** Of the servers of replicated streams. */
  readonly clusterFaults: () => readonly string[];
}

/** Whether this relay can do its job; `reasons` name no URL and no secret. */
export interface Readiness {
  readonly isReady: boolean;
  readonly reasons: readonly string[];
  /** Interrupted or paused subscriptions: somebody's decision to take, not the relay's failure. */
  readonly idle: readonly string[];
}

export interface Applied {
  readonly plan: Plan;
  /** All that had to be drained has been: it takes the grace period at most. Never rejects. */
  readonly settled: Promise<void>;
}

export interface Runtime {
  /** The same list until one of them is started, updated or gone. */
  readonly subscriptions: readonly RunningSubscription[];
  /** How many there are. */
  readonly size: number;
  find: (id: string) => RunningSubscription | null;
  /** What is to run, though something else may still drain; null: nothing. */
  wanted: (id: string) => Subscription | null;
  /** Brings the subscriptions to what is wanted: those that go or change are drained, those that only have new terms go on. */
  apply: (wanted: readonly Subscription[], options: { readonly graceMs: number }) => Applied;
  readiness: () => Readiness;
  /** Drains all subscriptions at once. */
  stop: (graceMs: number) => Promise<void>;
}

interface Place {
  running: RunningSubscription;
  /** Null: nothing, as soon as it is drained. */
  wanted: Subscription | null;
  /** Null: what runs is what is wanted. */
  draining: Promise<void> | null;
}

/** As they are; made anew only when that changes, for much of what runs each second looks at all of them. */
interface Listed {
  readonly running: readonly RunningSubscription[];
  readonly subscriptions: readonly Subscription[];
}

export const NOT_CONNECTED = "NATS is not connected";
/** Readiness must turn within 5 s of a fault. */
const CHECK_INTERVAL_MS = 2000;

export function startRuntime(wanted: readonly Subscription[], options: RuntimeOptions): Runtime {
  const places = new Map<string, Place>();
  let faults: readonly string[] = [];
  let isChecking = false;
  let isStopped = false;
  /** Null: it is to be made anew. */
  let listed: Listed | null = null;
  for (const subscription of wanted) start(subscription);

  function open(subscription: Subscription): RunningSubscription {
    return startSubscription(subscription, options.partsFor(subscription));
  }

  function start(wanted: Subscription): void {
    const place = places.get(wanted.id);
    if (place === undefined) places.set(wanted.id, { running: open(wanted), wanted, draining: null });
    else if (place.draining === null) throw new Error(`Subscription ${wanted.id} is running already`);
    else place.wanted = wanted;
    listed = null;
  }

  function placeOf(id: string): Place {
    const place = places.get(id);
    if (place === undefined) throw new Error(`Subscription ${id} is not running`);
    return place;
  }

  function update(wanted: Subscription): void {
    const place = placeOf(wanted.id);
    place.wanted = wanted;
    place.running.declare(wanted.isPaused ? "PAUSED" : "ACCEPTED");
    if (place.draining === null) place.running.update(wanted);
    listed = null;
  }

  function replace(id: string, wanted: Subscription | null, graceMs: number): void {
    const place = placeOf(id);
    place.wanted = wanted;
    if (wanted !== null) place.running.declare(wanted.isPaused ? "PAUSED" : "ACCEPTED");
    place.draining ??= drain(id, place, graceMs);
  }

  async function drain(id: string, place: Place, graceMs: number): Promise<void> {
    await place.running.stop(graceMs);
    await options.onDrained(place.running);
    place.draining = null;
    if (place.wanted === null) {
      places.delete(id);
    } else if (!isStopped) {
      place.running = open(place.wanted);
      place.running.recover();
    }
    listed = null;
  }

  function apply(next: readonly Subscription[], graceMs: number): Applied {
    const plan = reconcile(
      [...places.values()].flatMap((place) => place.wanted ?? []),
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
    await Promise.all([...places.values()].map(async ({ draining }) => draining));
  }

  function list(): Listed {
    if (listed !== null) return listed;
    const running = [...places.values()].map((place) => place.running);
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
      return places.size;
    },
    find: (id) => places.get(id)?.running ?? null,
    wanted: (id) => places.get(id)?.wanted ?? null,
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
