// The core of a relay: NATS, the states of the cluster, and the subscriptions.

import { join } from "node:path";
import type { Config } from "#config/resolve.ts";
import { resolveLetterEndpoints } from "#config/resolve-subscription.ts";
import type { RecordSettings } from "#delivery/record.ts";
import { openCallback } from "#callback/client.ts";
import { type Logger, withFields } from "#lib/logger.ts";
import { openBucket } from "#bucket/bucket.ts";
import { createBucketSigner } from "#bucket/signer.ts";
import { type Connection, openConnection } from "#nats/connection.ts";
import { makeConsumer } from "#consumer/consumer.ts";
import { toConsumerSettings } from "#consumer/config.ts";
import { openDeadLetters } from "#letters/store.ts";
import { type Lag, watchLag } from "#consumer/lag.ts";
import { openLetterSigner } from "#letters/signer.ts";
import { type Letters, openLetters } from "#letters/letters.ts";
import { watchMajority } from "#consumer/majority.ts";
import { openReplayLetters } from "#letters/replay.ts";
import { openStreamMessages } from "#letters/stream-messages.ts";
import { settlesWithin } from "#lib/settles-within.ts";
import { readToken } from "#lib/token-file.ts";
import { createBucketCipher } from "#bucket/encryption.ts";
import { readMostReplicas } from "#nats/stream.ts";
import type { Observer } from "#pipeline/observer.ts";
import { createHolds } from "#runtime/holds.ts";
import type { Progress } from "#runtime/progress.ts";
import type { Plan } from "#runtime/reconcile.ts";
import { type Replays, startReplays } from "#replays/replays.ts";
import { type Applied, type Runtime, startRuntime } from "#runtime/runtime.ts";
import { createParkedKeys } from "#runtime/parked-keys.ts";
import { createSeats } from "#runtime/seats.ts";
import { createStates, type StateChange } from "#runtime/states.ts";
import { createApiSubscriptions } from "#registry/api-subscriptions.ts";
import { type Applications, createApplications } from "#registry/applications.ts";
import { createKeptLogging, type KeptLogging } from "#registry/kept-logging.ts";
import { createCleanup } from "#registry/cleanup.ts";
import { createSubscriptionParts } from "./subscription-parts.ts";
import { shareDeadLetters } from "./share-dead-letters.ts";
import { createOpenCallbacks, type OpenCallbacks } from "./open-callbacks.ts";
import { createRegistry, type Registry } from "#registry/registry.ts";
import { createStateChanges } from "./state-changes.ts";
import { createStatesWait } from "./wait-for-states.ts";
import { createDenialLog, createWaitsLog } from "./log-observer.ts";

export interface Core {
  readonly connection: Connection;
  readonly runtime: Runtime;
  readonly registry: Registry;
  readonly applications: Applications;
  readonly lag: Lag;
  readonly openCallbacks: OpenCallbacks;
  readonly letters: Letters;
  readonly replays: Replays;
  readonly keptLogging: KeptLogging;
  /** Why states and subscriptions made by API cannot be stored at present; null: they can. */
  readonly bucketFault: () => string | null;
  /** Bucket entries without proof that a relay wrote them. */
  readonly refusedKeys: () => readonly string[];
  /** Applies the subscriptions of a config; ignores its settings for NATS and state. */
  readonly apply: (next: Config) => Promise<Taken>;
  /** Drains: starts nothing new, waits up to the grace period for requests in flight, returns the rest. */
  stop: (graceMs: number) => Promise<void>;
}

export interface Taken {
  readonly plans: readonly Plan[];
  /** False: something still drains, and its successor starts afterwards. */
  readonly isSettled: boolean;
}

interface CoreOptions {
  readonly logger: Logger;
  /** Called for every attempt and every ending. */
  readonly observer: Observer;
  readonly onStateChanged: (change: StateChange) => void;
  /** What all relays record of an entrypoint; null: what the file says. */
  readonly onLoggingKept: (entrypoint: string, settings: RecordSettings | null) => void;
  readonly progress: Progress;
  /** Checks what the relay needs besides NATS: null, or the fault. Never rejects. */
  readonly check: () => Promise<string | null>;
}

/** A reload is answered by then. */
const ANSWER_MS = 5000;

/** Never fails: retries until NATS and streams are there. */
export function startCore(initial: Config, options: CoreOptions): Core {
  const { logger, observer, onStateChanged, progress } = options;
  const { nats, state } = initial;
  let config = initial;
  const closing = new AbortController();
  const connection = openConnection(nats, { logger, signal: closing.signal });
  /** Of the JetStream domain of the bucket. */
  const localStreams = () =>
    new Set(
      config.subscriptions.flatMap(({ source: { domain, stream } }) => (domain === null ? [stream] : [])),
    );
  const bucket = openBucket(connection, {
    name: state.bucket,
    logger,
    replicas: () => readMostReplicas(connection, localStreams()),
    commandPath: join(state.directory, "commands.json"),
    signer: state.key === null ? null : createBucketSigner(state.key, state.bucket),
  });
  const tellChange = createStateChanges({
    logger,
    host: initial.host.name,
    publish: connection.publish,
  });
  const holds = createHolds(bucket);
  const keptLogging = createKeptLogging({ bucket, onChanged: options.onLoggingKept });
  const onChanged = (change: StateChange) => {
    tellChange(change);
    onStateChanged(change);
  };
  const states = createStates(
    { ...bucket, ...createStatesWait({ bucket, connection, logger }) },
    { holds, onChanged },
  );
  const seats = createSeats(bucket, {
    relay: readToken(join(state.directory, "relay-id")),
    host: initial.host.name,
    logger,
    isConnected: () => connection.isConnected,
    now: () => performance.now(),
  });
  const openCallbacks = createOpenCallbacks();
  const cipher = state.key === null ? null : createBucketCipher(state.key);
  const signer = openLetterSigner({ bucket, cipher, path: join(state.directory, "letters.key"), logger });
  const deadLetters = shareDeadLetters((endpoints) =>
    openDeadLetters(connection, endpoints, { signer, logger }),
  );

  const guardPath = (id: string) => join(state.directory, "journal", id);
  const cleanup = createCleanup({
    connection,
    bucket,
    runtime: () => runtime,
    guardPath,
    graceMs: () => config.shutdown.graceMs,
    logger,
    signal: closing.signal,
  });

  /** Null while its first subscriptions start. */
  let started: Runtime | null = null;
  const partsFor = createSubscriptionParts({
    connection,
    states,
    seats,
    deadLetters,
    openCallbacks,
    waitsLog: createWaitsLog(logger),
    progress,
    observer,
    logger,
    guardPath,
    lag: () => lag,
    pumps: () => runtime.size,
    wanted: (id) => started?.wanted(id) ?? null,
  });

  const majority = watchMajority(connection, { subscriptions: () => runtime.subscriptions });
  const runtime = startRuntime(config.subscriptions, {
    partsFor,
    clusterFaults: majority.faults,
    onDrained: cleanup.drained,
    isConnected: () => connection.isConnected,
    checks: (subscriptions) => [
      options.check(),
      ...deadLetters.inUse(subscriptions).map((shared) => shared.check(closing.signal)),
    ],
  });
  started = runtime;
  const parkedKeys = createParkedKeys(bucket, {
    running: () => runtime.subscriptions,
    now: () => performance.now(),
  });
  const letterEndpoints = () => resolveLetterEndpoints(config.origin.file);
  const replays = startReplays({
    runtime,
    endpoints: letterEndpoints,
    bucket,
    openLetters: (endpoint) => openReplayLetters(connection, endpoint, signer),
    openMessages: ({ source }) => openStreamMessages(connection, source),
    onReconnect: connection.onReconnect,
    owner: nats.name,
    logger,
  });
  const lag = watchLag(connection, {
    subscriptions: () => runtime.subscriptions.map(({ subscription }) => subscription),
    logger,
  });
  const api = createApiSubscriptions({
    bucket,
    cipher,
    origin: () => config.origin,
    fileIds: () => new Set(config.subscriptions.map(({ id }) => id)),
    logger,
    makeDurable: async (subscription) => {
      await makeConsumer(connection, toConsumerSettings(subscription));
    },
    statusOf: ({ id, application }) => {
      const running = runtime.find(id)?.status().status;
      const isHeld = holds.isIdHeld(id) || holds.isApplicationHeld(application);
      return running ?? (isHeld ? "PAUSED" : "ACCEPTED");
    },
    onMadeByOperator: holds.release,
    isEnding: cleanup.isUnderWay,
    onRemoval: cleanup.begin,
    onKept: cleanup.end,
    onChanged(removed) {
      cleanup.removed(removed);
      applyWanted();
    },
  });
  /** The changes while a config is being applied; null: none is. */
  let taken: Applied[] | null = null;

  function applyWanted(): Applied {
    const made = [...api.known.values()].map(({ subscription }) => subscription);
    const applied = runtime.apply([...config.subscriptions, ...made], { graceMs: config.shutdown.graceMs });
    taken?.push(applied);
    return applied;
  }

  async function endRemoval(id: string): Promise<void> {
    await applyWanted().settled;
    cleanup.end(id);
  }

  return {
    connection,
    runtime,
    registry: createRegistry({
      runtime,
      api,
      parkedKeys,
      config: () => config,
      openCallback: ({ id, callback }) =>
        openCallback(callback, {
          connections: 1,
          onDenied: createDenialLog(withFields(logger, { subscription: id })),
        }),
      endRemoval,
    }),
    applications: createApplications({ holds, runtime, onChanged }),
    lag,
    openCallbacks,
    letters: openLetters(connection, letterEndpoints, signer),
    replays,
    keptLogging,
    bucketFault: bucket.fault,
    refusedKeys: bucket.refusedKeys,
    async apply(next) {
      if (taken !== null) throw new Error("Another config is being applied");
      config = next;
      const own: Applied[] = [];
      taken = own;
      try {
        await api.reread();
        applyWanted();
      } finally {
        taken = null;
      }
      const settled = Promise.all(own.map((applied) => applied.settled));
      const isSettled = await settlesWithin(settled, ANSWER_MS);
      return { plans: own.map(({ plan }) => plan), isSettled };
    },
    async stop(graceMs) {
      api.close();
      keptLogging.close();
      lag.close();
      majority.close();
      await Promise.all([replays.stop(graceMs), runtime.stop(graceMs)]);
      parkedKeys.close();
      await seats.close();
      states.close();
      await bucket.close();
      await connection.close();
      closing.abort();
    },
  };
}
