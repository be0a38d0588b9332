// Subscriptions made by API: stored in the bucket (encrypted if they hold secrets), and run by every relay.

import type { ConfigOrigin } from "#config/resolve.ts";
import {
  type BodyFault,
  type ParsedSubscription,
  parseSubscription,
  type SubscriptionScope,
} from "#config/parse-subscription.ts";
import { maskConfig } from "#config/mask-config.ts";
import type { ReadStores } from "#config/stores.ts";
import type { OperatorStatus } from "#delivery/status.ts";
import type { Subscription } from "#delivery/subscription.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { Bucket, Condition } from "#bucket/bucket.ts";
import { NOT_SIGNED, REFUSED } from "#bucket/mirror.ts";
import type { BucketCipher } from "#bucket/encryption.ts";
import { settlesWithin } from "#lib/settles-within.ts";
import { createAdmissions } from "./limits.ts";
import {
  findDeniedTargets,
  applicationOf,
  complete,
  findForeign,
  findMasked,
  statusIn,
  withStatus,
  type WriteOptions,
} from "./body.ts";
import { createStoreBudgets } from "./store-budgets.ts";

/** Made by API and stored in the bucket, but this relay cannot run it. */
interface Unusable {
  readonly id: string;
  readonly reason: string;
}

export type WriteOutcome =
  | { readonly kind: "written"; readonly id: string; readonly revision: number; readonly isNew: boolean }
  | { readonly kind: "invalid"; readonly faults: readonly BodyFault[] }
  /** The caller may not decide it. */
  | { readonly kind: "forbidden"; readonly reason: string }
  | { readonly kind: "read-only" }
  | { readonly kind: "missing" }
  /** The id is in use. */
  | { readonly kind: "taken"; readonly reason: string }
  /** It has another revision; null: it is gone, or its revision is unknown. */
  | { readonly kind: "conflict"; readonly revision: number | null }
  /** It cannot be stored as it is. */
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unavailable"; readonly reason: string };

/** Null: any revision; else one of these. */
export type WantedRevisions = readonly number[] | null;

interface ApiSubscription {
  readonly subscription: Subscription;
  /** As known here: the bucket may already have a newer one. */
  readonly revision: () => number;
  /** Without secrets. */
  readonly definition: () => unknown;
  /** The cost of its key stores at each start. */
  readonly iterations: number;
  readonly stores: ReadStores;
}

export interface ApiSubscriptions {
  /** Checks a new one as `create` does, and stores nothing. Its id may be in use. */
  readonly check: (body: unknown, options: WriteOptions) => Promise<Checked>;
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
  /** The subscriptions that can run here, by id. */
  readonly known: ReadonlyMap<string, ApiSubscription>;
  /** The subscriptions that cannot run here; a bounded number. */
  readonly unusable: () => readonly Unusable[];
  /** Reads all again after a change of the config. */
  readonly reread: () => Promise<void>;
  readonly close: () => void;
}

interface ApiSubscriptionsOptions {
  readonly bucket: Bucket;
  /** Null: there is no `state.key`. */
  readonly cipher: BucketCipher | null;
  readonly origin: () => ConfigOrigin;
  /** Ids in the file, which no other subscription can use. */
  readonly fileIds: () => ReadonlySet<string>;
  /** Makes its consumer, so that it misses nothing published from then on. Rejects with a RelayError. */
  readonly makeDurable: (subscription: Subscription) => Promise<void>;
  /** Its operator status; for a new one, the initial status. */
  readonly statusOf: (subscription: Subscription) => OperatorStatus;
  readonly onMadeByOperator: (id: string) => void;
  /** An earlier subscription of this id is not cleaned up yet. */
  readonly isEnding: (id: string) => boolean;
  /** It is about to be deleted; `onKept`: the deletion failed. */
  readonly onRemoval: (id: string) => void;
  readonly onKept: (id: string) => void;
  readonly logger: Logger;
  /** `known` has changed; `removed`: ids that were deleted, by any relay. */
  readonly onChanged: (removed: readonly string[]) => void;
}

type Valid = Extract<ParsedSubscription, { kind: "valid" }>;

type WriteFaults = Extract<WriteOutcome, { kind: "invalid" }>;

export type Checked = Pick<Valid, "kind" | "subscription"> | WriteFaults;

/** Prefix of its key in the bucket, before the id. */
export const PREFIX = "subscription.";
const NO_KEY = "It holds secrets, and there is no state.key to encrypt them";
const TAKEN: WriteOutcome = { kind: "taken", reason: "A subscription with this id exists already" };
const ENDING: WriteOutcome = { kind: "taken", reason: "A subscription with this id is still being deleted" };
const MAX_UNUSABLE = 1000;
/** The longest wait for the durable consumer of a new subscription. */
const DURABLE_MS = 3000;

export function createApiSubscriptions(options: ApiSubscriptionsOptions): ApiSubscriptions {
  const { bucket, cipher, origin, fileIds, logger, isEnding, onChanged, makeDurable } = options;
  const { statusOf, onMadeByOperator } = options;
  const known = new Map<string, ApiSubscription>();
  const faults = new Map<string, string>();
  const admit = createAdmissions({ known, unusable: faults });
  const budgets = createStoreBudgets(known, { now: () => performance.now() });
  const closing = new AbortController();
  /** Subscriptions just written: they are not read again. */
  const written = new Map<string, ReadStores>();
  let reading: Promise<void> = Promise.resolve();
  const forget = bucket.onChange((key) => {
    if (key.startsWith(PREFIX)) void readSoon([key.slice(PREFIX.length)]); // Never rejects.
  });

  function readSoon(ids: readonly string[]): Promise<void> {
    reading = reading.then(async () => {
      const removed = ids.filter((id) => known.has(id) && bucket.get(PREFIX + id) === null);
      for (const id of ids) await read(id);
      onChanged(removed);
    });
    return reading;
  }

  /** Never rejects. The former version stays known until the new one is read, so that it does not look removed. */
  async function read(id: string): Promise<void> {
    const entry = bucket.get(PREFIX + id);
    if (entry === null) {
      known.delete(id);
      faults.delete(id);
      return;
    }
    try {
      const body = await unpack(entry.value, id);
      const budget = budgets.createForReading(id, closing.signal);
      const former = written.get(id) ?? known.get(id)?.stores ?? null;
      const parsed = await parse(body, { id, budget, former });
      if (parsed.kind !== "valid") throw new Error(describe(parsed));
      faults.delete(id);
      known.set(id, {
        subscription: parsed.subscription,
        iterations: parsed.iterations,
        stores: parsed.stores,
        // Do not read a rewrite of the same value again.
        revision: () => Math.max(entry.revision, revisionOf(id, entry.value)),
        definition: () => maskConfig(parsed.entry),
      });
    } catch (error) {
      if (closing.signal.aborted) return;
      const reason = messageOf(error);
      known.delete(id);
      if (faults.get(id) !== reason)
        logger.error("Subscription cannot run here", { subscription: id, reason });
      faults.set(id, reason);
    }
  }

  function revisionOf(id: string, value: string): number {
    const entry = bucket.get(PREFIX + id);
    return entry?.value === value ? entry.revision : 0;
  }

  function parse(
    body: unknown,
    own: Pick<SubscriptionScope, "id" | "budget" | "former"> & Partial<Pick<SubscriptionScope, "takenIds">>,
  ): Promise<ParsedSubscription> {
    return parseSubscription(body, { takenIds: fileIds(), ...own, origin: origin(), now: new Date() });
  }

  /** Null: there are none. */
  function findForeignIn(ownBody: unknown, options: WriteOptions): WriteFaults | null {
    const foreign = findForeign(ownBody, { ...options, entrypoints: origin().file.entrypoints });
    return foreign === null ? null : { kind: "invalid", faults: [foreign] };
  }

  /** `id`: that of the one which it replaces; null: none. */
  function openBudget(ownBody: unknown, id: string | null, { application, signal }: WriteOptions) {
    return budgets.openForWrite({ id, application: applicationOf(ownBody), caller: application, signal });
  }

  async function check(body: unknown, options: WriteOptions): Promise<Checked> {
    const ownBody = complete(body, { ...options, id: null });
    const foreign = findForeignIn(ownBody, options);
    if (foreign !== null) return foreign;
    using budget = openBudget(ownBody, null, options);
    const parsed = await parse(ownBody, { id: null, budget, former: null, takenIds: new Set() });
    if (parsed.kind === "taken") throw new Error("No id is taken here");
    if (parsed.kind === "invalid") return parsed;
    return findUnacceptable(parsed) ?? parsed;
  }

  async function unpack(value: string, id: string): Promise<unknown> {
    if (value === REFUSED) throw new Error(NOT_SIGNED);
    const stored = JSON.parse(value) as { readonly sealed?: string; readonly entry?: unknown };
    if (stored.sealed === undefined) return stored.entry;
    if (cipher === null) throw new Error("It is encrypted, and there is no state.key to decrypt it");
    return JSON.parse(await cipher.decrypt(stored.sealed, id)) as unknown;
  }

  async function pack(body: unknown, { subscription, hasSecrets }: Valid): Promise<string | null> {
    if (cipher !== null) {
      return JSON.stringify({ sealed: await cipher.encrypt(JSON.stringify(body), subscription.id) });
    }
    return hasSecrets ? null : JSON.stringify({ entry: body });
  }

  /** Keeps the operator status in its definition. Null: it was replaced meanwhile. */
  async function withDeclared(
    body: unknown,
    { id, expectedRevision }: { id: string; expectedRevision: number },
  ): Promise<unknown> {
    if (expectedRevision === 0) return withStatus(body, undefined);
    const entry = bucket.get(PREFIX + id);
    if (entry?.revision !== expectedRevision) return null;
    return withStatus(body, statusIn(await unpack(entry.value, id)));
  }

  async function write(
    body: unknown,
    options: WriteOptions & { readonly id: string | null; readonly expectedRevision: number },
  ): Promise<WriteOutcome> {
    const ownBody = complete(body, options);
    const foreign = findForeignIn(ownBody, options);
    if (foreign !== null) return foreign;
    using budget = openBudget(ownBody, options.id, options);
    const former = options.id === null ? null : (known.get(options.id)?.stores ?? null);
    const parsed = await parse(ownBody, { id: options.id, budget, former });
    if (parsed.kind === "taken") return TAKEN;
    if (parsed.kind === "invalid") return parsed;
    const unacceptable = findUnacceptable(parsed);
    if (unacceptable !== null) return unacceptable;
    const { id } = parsed.subscription;
    if (options.expectedRevision === 0 && isEnding(id)) return ENDING;
    if (options.expectedRevision === 0 && bucket.get(PREFIX + id) !== null) return TAKEN;
    using admission = admit(parsed.subscription);
    if (admission.excess !== null) return { kind: "refused", reason: admission.excess };
    const isOperator = options.application === null;
    const present = isOperator ? null : statusOf(parsed.subscription);
    if (present !== null && (statusIn(ownBody) ?? present) !== present)
      return { kind: "forbidden", reason: describeStatus(present, options.expectedRevision === 0) };
    const kept = isOperator ? ownBody : await withDeclared(ownBody, { ...options, id });
    if (kept === null) return { kind: "conflict", revision: null };
    const value = await pack(kept, parsed);
    if (value === null) return { kind: "invalid", faults: [{ path: "", message: NO_KEY }] };
    const { expectedRevision, signal } = options;
    const result = await bucket.write(PREFIX + id, value, { expectedRevision, signal });
    if (result.kind !== "written") return result;
    const isNew = expectedRevision === 0;
    logger.info(isNew ? "Subscription made by API" : "Subscription replaced by API", { subscription: id });
    if (isNew && isOperator) onMadeByOperator(id);
    written.set(id, parsed.stores);
    await readSoon([id]);
    written.delete(id);
    // The subscription itself waits for what is missing, such as the stream.
    await settlesWithin(makeDurable(parsed.subscription), DURABLE_MS, { signal });
    return { kind: "written", id, revision: result.revision, isNew };
  }

  /** What a change of an existing subscription starts from, or why it is refused. */
  function conditionOf(
    id: string,
    { revisions, signal }: { revisions: WantedRevisions; signal: AbortSignal },
  ): Condition | WriteOutcome {
    if (fileIds().has(id)) return { kind: "read-only" };
    const found = bucket.get(PREFIX + id);
    if (found === null) return { kind: "missing" };
    const { revision } = found;
    if (revisions !== null && !revisions.includes(revision)) return { kind: "conflict", revision };
    return { expectedRevision: revision, signal };
  }

  return {
    known,
    check,
    unusable: () => [...faults].slice(0, MAX_UNUSABLE).map(([id, reason]) => ({ id, reason })),
    async create(body, own) {
      const outcome = await write(body, { ...own, id: null, expectedRevision: 0 });
      return outcome.kind === "conflict" ? TAKEN : outcome;
    },
    async replace(id, body, own) {
      const condition = conditionOf(id, own);
      return "kind" in condition ? condition : write(body, { ...own, ...condition, id });
    },
    async remove(id, own) {
      const condition = conditionOf(id, own);
      if ("kind" in condition) return condition;
      options.onRemoval(id);
      const result = await bucket.erase(PREFIX + id, condition);
      if (result.kind !== "written") {
        options.onKept(id);
        return result;
      }
      logger.info("Subscription deleted by API", { subscription: id });
      await readSoon([id]);
      return { kind: "written", id, revision: result.revision, isNew: false };
    },
    reread: () => readSoon(bucket.list(PREFIX).map(({ key }) => key.slice(PREFIX.length))),
    close() {
      forget();
      closing.abort();
    },
  };
}

/** Null: it holds no mask, and calls no address that is denied. */
function findUnacceptable({ entry, subscription }: Valid): WriteFaults | null {
  const masked = findMasked(entry);
  const faults = masked.length > 0 ? masked : findDeniedTargets(subscription, entry);
  return faults.length > 0 ? { kind: "invalid", faults } : null;
}

function describe(parsed: Exclude<ParsedSubscription, { kind: "valid" }>): string {
  if (parsed.kind === "taken") return "The config file has a subscription of this id";
  return parsed.faults.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
}

function describeStatus(present: string, isNew: boolean): string {
  return isNew
    ? `a new one has the status ${present}, and only operators choose another`
    : `its status is ${present}, which only operators change`;
}
