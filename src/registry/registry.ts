// The subscriptions of this relay for the API: those of the config file, and those made by API.

import type { Exchange } from "#delivery/exchange.ts";
import type { DeliverPolicy } from "#delivery/subscription.ts";
import type { Message } from "#delivery/message.ts";
import type { Command } from "#delivery/status.ts";
import { dryRun, type DryRun } from "#pipeline/dry-run.ts";
import { sendOnce } from "#pipeline/attempt.ts";
import { NO_MESSAGES } from "#pipeline/pipeline.ts";
import { createTerms } from "#pipeline/terms.ts";
import { maskConfig } from "#config/mask-config.ts";
import type { Config } from "#config/resolve.ts";
import { toSampleMessage } from "#delivery/sample.ts";
import { initialStatus } from "#delivery/status.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { Callback } from "#callback/client.ts";
import { RelayError } from "#lib/errors.ts";
import type { ParkedKey } from "#pipeline/lanes.ts";
import type { ParkedKeys, ResumeOutcome, ResumeRequest } from "#runtime/parked-keys.ts";
import type { RunningSubscription } from "#runtime/running.ts";
import type { Runtime } from "#runtime/runtime.ts";
import type { ApiSubscriptions, Checked } from "./api-subscriptions.ts";
import type { WriteOptions } from "./body.ts";

export interface Registered {
  /** The wanted settings; the running subscription may not have them yet. */
  readonly subscription: Subscription;
  readonly running: Pick<
    RunningSubscription,
    "state" | "status" | "notStored" | "stats" | "pace" | "nextTryAt" | "active" | "oneByOne"
  >;
  readonly origin: "file" | "api";
  /** Revision of a subscription made by API; null: it is from the file. */
  readonly revision: number | null;
  /** As written, secrets masked. */
  readonly definition: () => unknown;
}

export interface Registry extends Pick<ApiSubscriptions, "unusable" | "create" | "replace" | "remove"> {
  readonly list: () => readonly Registered[];
  readonly find: (id: string) => Registered | null;
  /** Resolves when the change is stored, or waits to be stored. Rejects with a RelayError. */
  readonly command: (id: string, command: Command) => Promise<void>;
  /** Rejects with a RelayError. */
  readonly seek: (id: string, start: DeliverPolicy) => Promise<void>;
  /** Parked keys of an ordered subscription, whichever relay delivers it. */
  readonly parked: (id: string) => readonly ParkedKey[];
  /** Never rejects. */
  readonly resumeParked: (id: string, request: ResumeRequest) => Promise<ResumeOutcome>;
  /** Sends a sample, marked as such, with all settings of the subscription. Rejects as `command` does. */
  readonly test: (id: string, body: Uint8Array) => Promise<Exchange>;
  /** What a message would become. Rejects as `command` does. */
  readonly dryRun: (id: string, message: Message) => Promise<DryRun>;
  /** Checks a new subscription, which is never stored. Its tests end when `signal` of the options aborts. */
  readonly draft: (
    body: unknown,
    options: WriteOptions,
  ) => Promise<Draft | Exclude<Checked, { kind: "valid" }>>;
}

/** A subscription that is not stored: a test of it goes to its own callback, by the rules of stored ones. */
interface Draft extends AsyncDisposable {
  readonly kind: "draft";
  readonly subscription: Subscription;
  /** Sends the message once. Never rejects. */
  readonly test: (message: Message) => Promise<Exchange>;
  /** What a message would become. Sends nothing. Never rejects. */
  readonly dryRun: (message: Message) => Promise<DryRun>;
}

interface RegistryOptions {
  readonly runtime: Runtime;
  readonly api: ApiSubscriptions;
  readonly parkedKeys: Pick<ParkedKeys, "list" | "resume">;
  readonly config: () => Config;
  readonly openCallback: (subscription: Subscription) => Callback;
  /** Resolves when nothing is left of a deleted subscription. Never rejects. */
  readonly endRemoval: (id: string) => Promise<void>;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { runtime, api, parkedKeys, config, openCallback, endRemoval } = options;

  function findMade(id: string): Registered | null {
    const made = api.known.get(id);
    if (made === undefined) return null;
    const { subscription, revision, definition } = made;
    const running = runtime.find(id) ?? toStarting(subscription);
    return { subscription, running, origin: "api", revision: revision(), definition };
  }

  function toRegistered(subscription: Subscription, index: number): Registered {
    const running = runtime.find(subscription.id) ?? toStarting(subscription);
    const definition = () => {
      const entry = config().origin.file.subscriptions[index];
      return entry === undefined ? null : maskConfig(entry);
    };
    return { subscription, running, origin: "file", revision: null, definition };
  }

  function get(id: string): RunningSubscription {
    const running = runtime.find(id);
    if (running === null) throw new RelayError("unavailable", `Subscription ${id} is starting`);
    return running;
  }

  return {
    list: () => [
      ...config().subscriptions.map(toRegistered),
      ...[...api.known.keys()].flatMap((id) => findMade(id) ?? []),
    ],
    find(id) {
      const index = config().subscriptions.findIndex((subscription) => subscription.id === id);
      const found = config().subscriptions[index];
      return found === undefined ? findMade(id) : toRegistered(found, index);
    },
    unusable: api.unusable,
    create: api.create,
    replace: api.replace,
    async remove(id, condition) {
      const outcome = await api.remove(id, condition);
      if (outcome.kind === "written") await endRemoval(id);
      return outcome;
    },
    command: async (id, command) => get(id).command(command),
    seek: async (id, start) => get(id).seek(start),
    dryRun: async (id, message) => get(id).dryRun(message),
    parked(id) {
      const running = runtime.find(id);
      return running === null ? [] : parkedKeys.list(running);
    },
    async resumeParked(id, request) {
      const running = runtime.find(id);
      return running === null ? { kind: "not-parked" } : parkedKeys.resume(running, request);
    },
    async draft(body, limits) {
      const checked = await api.check(body, limits);
      if (checked.kind === "invalid") return checked;
      const { subscription } = checked;
      const terms = createTerms(subscription, { openCallback, hasDeadLetters: false });
      return {
        kind: "draft",
        subscription,
        test: (message) => terms.use((own) => sendOnce(message, own, limits.signal)),
        dryRun: (message) => terms.use((own) => dryRun(message, own, limits.signal)),
        [Symbol.asyncDispose]: () => terms.close(0),
      };
    },
    test: async (id, body) => {
      const running = get(id);
      return running.test(toSampleMessage(running.subscription.source, { body, now: new Date() }));
    },
  };
}

/** The state of a wanted subscription that does not run yet. */
function toStarting({ isPaused }: Subscription): Registered["running"] {
  return {
    state: () => ({ kind: "waiting", isFault: true, reason: "It is being started" }),
    status: () => initialStatus(isPaused ? "PAUSED" : "ACCEPTED"),
    notStored: () => null,
    active: () => null,
    oneByOne: () => null,
    stats: () => NO_MESSAGES,
    nextTryAt: () => null,
    pace: () => ({ places: 0, perSecond: null, waitMs: 0 }),
  };
}
