// The subscriptions made by API: kept in the bucket of the cluster, sealed where they hold secrets, and run by every relay.

import type { ConfigOrigin } from "#config/resolve.ts";
import { type ParsedSubscription, parseSubscription } from "#config/parse-subscription.ts";
import { toShown } from "#config/shown.ts";
import { createMask } from "#config/secrets.ts";
import type { Subscription } from "#delivery/subscription.ts";
import type { WriteOptions, WriteOutcome } from "#http/registry.ts";
import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";
import type { Bucket, Condition } from "#nats/bucket.ts";
import type { Sealer } from "#nats/sealing.ts";

export interface ApiSubscription {
  readonly subscription: Subscription;
  readonly revision: number;
  /** As it may be shown. */
  readonly definition: unknown;
}

export interface ApiSubscriptions {
  /** Those that can run here, by id. */
  readonly known: ReadonlyMap<string, ApiSubscription>;
  readonly create: (body: unknown, options: WriteOptions) => Promise<WriteOutcome>;
  readonly replace: (
    id: string,
    body: unknown,
    options: WriteOptions & { readonly revision: number | null },
  ) => Promise<WriteOutcome>;
  readonly remove: (
    id: string,
    options: { readonly revision: number | null; readonly signal: AbortSignal },
  ) => Promise<WriteOutcome>;
  /** They are read anew, for the config has changed. */
  readonly reread: () => Promise<void>;
  readonly close: () => void;
}

export interface ApiSubscriptionsOptions {
  readonly bucket: Bucket;
  /** Null: there is no `state.key`. */
  readonly sealer: Sealer | null;
  readonly origin: () => ConfigOrigin;
  /** Those of the file, which no other can have. */
  readonly fileIds: () => ReadonlySet<string>;
  readonly logger: Logger;
  /** What must never be shown from now on. */
  readonly hide: (secrets: readonly string[]) => void;
  /** `known` has changed. */
  readonly onChanged: () => void;
}

type Valid = Extract<ParsedSubscription, { kind: "valid" }>;

const PREFIX = "subscription.";
const NO_KEY = "It holds secrets, and there is no state.key to encrypt them with";

export function createApiSubscriptions(options: ApiSubscriptionsOptions): ApiSubscriptions {
  const { bucket, sealer, origin, fileIds, logger, hide, onChanged } = options;
  const known = new Map<string, ApiSubscription>();
  const faults = new Map<string, string>();
  let reading: Promise<void> = Promise.resolve();
  const forget = bucket.onChange((key) => {
    if (key.startsWith(PREFIX)) void readSoon([key.slice(PREFIX.length)]); // Never rejects.
  });

  function readSoon(ids: readonly string[]): Promise<void> {
    reading = reading.then(async () => {
      for (const id of ids) await read(id);
      onChanged();
    });
    return reading;
  }

  /** Never rejects. */
  async function read(id: string): Promise<void> {
    const entry = bucket.get(PREFIX + id);
    known.delete(id);
    if (entry === null) return;
    try {
      const parsed = parse(await unpack(entry.value, id), id);
      if (parsed.kind !== "valid") throw new Error(describe(parsed));
      hide(parsed.hidden);
      faults.delete(id);
      known.set(id, {
        subscription: parsed.subscription,
        revision: entry.revision,
        definition: toShown(parsed.entry, createMask([...parsed.hidden, ...origin().secrets.hidden])),
      });
    } catch (error) {
      const reason = messageOf(error);
      if (faults.get(id) !== reason)
        logger.error("Subscription cannot run here", { subscription: id, reason });
      faults.set(id, reason);
    }
  }

  function parse(body: unknown, id: string | null): ParsedSubscription {
    return parseSubscription(body, { origin: origin(), id, takenIds: fileIds(), now: new Date() });
  }

  async function unpack(value: string, id: string): Promise<unknown> {
    const stored = JSON.parse(value) as { readonly sealed?: string; readonly entry?: unknown };
    if (stored.sealed === undefined) return stored.entry;
    if (sealer === null) throw new Error(NO_KEY);
    return JSON.parse(await sealer.open(stored.sealed, id)) as unknown;
  }

  async function pack(body: unknown, { subscription, hasSecrets }: Valid): Promise<string | null> {
    if (sealer !== null) {
      return JSON.stringify({ sealed: await sealer.seal(JSON.stringify(body), subscription.id) });
    }
    return hasSecrets ? null : JSON.stringify({ entry: body });
  }

  async function write(
    body: unknown,
    options: WriteOptions & { readonly id: string | null; readonly expectedRevision: number },
  ): Promise<WriteOutcome> {
    const ownBody = withApplication(body, options.application);
    const parsed = parse(ownBody, options.id);
    if (parsed.kind === "taken") return { kind: "conflict", revision: null };
    if (parsed.kind === "invalid") return parsed;
    const { id } = parsed.subscription;
    const foreign = findForeign(parsed.subscription, options);
    if (foreign !== null) return { kind: "invalid", faults: [foreign] };
    const value = await pack(ownBody, parsed);
    if (value === null) return { kind: "invalid", faults: [{ path: "", message: NO_KEY }] };
    hide(parsed.hidden);
    const { expectedRevision, signal } = options;
    const result = await bucket.write(PREFIX + id, value, { expectedRevision, signal });
    if (result.kind !== "written") return result;
    await readSoon([id]);
    return { kind: "written", id, revision: result.revision, isNew: expectedRevision === 0 };
  }

  function conditionOf(id: string, revision: number | null, signal: AbortSignal): Condition | null {
    const found = bucket.get(PREFIX + id);
    return found === null ? null : { expectedRevision: revision ?? found.revision, signal };
  }

  return {
    known,
    create: (body, own) => write(body, { ...own, id: null, expectedRevision: 0 }),
    async replace(id, body, { revision, ...own }) {
      if (fileIds().has(id)) return { kind: "read-only" };
      const condition = conditionOf(id, revision, own.signal);
      if (condition === null) return { kind: "missing" };
      return write(body, { ...own, id, expectedRevision: condition.expectedRevision });
    },
    async remove(id, { revision, signal }) {
      if (fileIds().has(id)) return { kind: "read-only" };
      const condition = conditionOf(id, revision, signal);
      if (condition === null) return { kind: "missing" };
      const result = await bucket.erase(PREFIX + id, condition);
      if (result.kind !== "written") return result;
      await readSoon([id]);
      return { kind: "written", id, revision: result.revision, isNew: false };
    },
    reread: () => readSoon(bucket.list(PREFIX).map(({ key }) => key.slice(PREFIX.length))),
    close: forget,
  };
}

/** Who may only have subscriptions of one application has them without saying so. */
function withApplication(body: unknown, application: string | null): unknown {
  if (application === null || typeof body !== "object" || body === null || Array.isArray(body)) return body;
  return { application, ...body };
}

function findForeign(
  { application, entrypoint }: Subscription,
  options: Pick<WriteOptions, "application" | "entrypoint">,
): { path: string; message: string } | null {
  if (options.application !== null && application !== options.application) {
    return { path: "application", message: `allowed: ${options.application}` };
  }
  if (options.entrypoint !== null && entrypoint !== options.entrypoint) {
    return { path: "configuration.entrypointId", message: `allowed: ${options.entrypoint}` };
  }
  return null;
}

function describe(parsed: Exclude<ParsedSubscription, { kind: "valid" }>): string {
  if (parsed.kind === "taken") return "The config file has a subscription of this id";
  return parsed.faults.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; ");
}
