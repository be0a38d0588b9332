// Runs a command on the bucket: compare and set on the stored values; without NATS, kept in the mirror and on disk until stored.

import { readKey } from "./message.ts";
import type { CommandFile } from "./commands.ts";
import type { LocalChange, Mirror } from "./mirror.ts";
import type { BucketSigner } from "./signer.ts";
import { writeKey } from "./write.ts";
import type { BucketWriting } from "./writing.ts";
import type { Connection } from "#nats/connection.ts";
import { settlesWithin } from "#lib/settles-within.ts";

/**
 * Returns the values to write, in order; empty: no change. `values`: the current ones by key, null if missing. `isStored` false:
 * the values come from the mirror and may be outdated, so return every value that the command sets, changed or not.
 */
export type Decide = (
  values: ReadonlyMap<string, string | null>,
  options: { readonly isStored: boolean },
) => ReadonlyMap<string, string | null>;

/** `isChanged`: this command changed a value. */
export type UpdateResult =
  | { readonly kind: "stored"; readonly isChanged: boolean }
  /** The command counts here, and is stored as soon as possible. `diskFault`: why a restart loses it; null: it is on disk. */
  | { readonly kind: "waiting"; readonly isChanged: boolean; readonly diskFault: string | null }
  /** It has no effect. */
  | { readonly kind: "refused"; readonly reason: string };

interface UpdatesOptions {
  readonly bucket: string;
  readonly signer: BucketSigner | null;
  readonly mirror: Mirror;
  readonly writing: BucketWriting;
  readonly commandFile: CommandFile;
  readonly ready: (signal: AbortSignal) => Promise<boolean>;
  readonly findObstacle: (key: string, value: string | null) => string | null;
  readonly signal: AbortSignal;
}

interface BucketUpdates {
  update: (keys: readonly string[], decide: Decide) => Promise<UpdateResult>;
  isWaiting: (keys: readonly string[]) => boolean;
}

/** Below the 10 s after which HTTP clients and the page give up. */
const UPDATE_MS = 8000;
/** Retries of the compare and set: others may change the same key. */
const MAX_TRIES = 10;

type Attempt =
  | { readonly kind: "stored" }
  | { readonly kind: "conflict" }
  | { readonly kind: "unavailable" }
  | { readonly kind: "refused"; readonly reason: string };

const UNAVAILABLE: Attempt = { kind: "unavailable" };

export function createBucketUpdates(connection: Connection, options: UpdatesOptions): BucketUpdates {
  const { bucket, signer, mirror, writing, commandFile, ready, findObstacle, signal } = options;

  function pending(keys: readonly string[]): readonly LocalChange[] {
    return mirror.unwritten().filter(({ key }) => keys.includes(key));
  }

  /** Ignores invalid entries: this command may overwrite them. */
  function unwritten(keys: readonly string[]): boolean {
    return pending(keys).some(({ key, commandedAt }) => commandedAt !== null || !mirror.isRefused(key));
  }

  async function update(keys: readonly string[], decide: Decide): Promise<UpdateResult> {
    const command = {
      keys,
      decide,
      ids: new Map(keys.map((key) => [key, crypto.randomUUID()])),
      at: Date.now(),
    };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(UPDATE_MS)]);
    const written = new Set<string>();
    const attempt = connection.isConnected ? await store(command, { limit, written }) : UNAVAILABLE;
    if (attempt.kind === "refused") return attempt;
    if (attempt.kind === "stored") return { kind: "stored", isChanged: written.size > 0 };
    return wait(command, written.size > 0);
  }

  async function store(
    command: Command,
    { limit, written }: { limit: AbortSignal; written: Set<string> },
  ): Promise<Attempt> {
    if (!(await ready(limit))) return UNAVAILABLE;
    // Earlier local changes are written first.
    if (unwritten(command.keys)) {
      await settlesWithin(writing.flush(), UPDATE_MS, { signal: limit });
      if (unwritten(command.keys)) return UNAVAILABLE;
    }
    for (let tries = 1; tries <= MAX_TRIES && !limit.aborted; tries += 1) {
      const attempt = await storeOnce(command, { limit, written });
      if (attempt.kind !== "conflict") return attempt;
    }
    return UNAVAILABLE;
  }

  async function storeOnce(
    { keys, decide, ids }: Command,
    { limit, written }: { limit: AbortSignal; written: Set<string> },
  ): Promise<Attempt> {
    const reading = Promise.all(
      keys.map(async (key) => [key, await readKey(connection, bucket, key)] as const),
    );
    if (!(await settlesWithin(reading, UPDATE_MS, { signal: limit }))) return UNAVAILABLE;
    const values = new Map<string, string | null>();
    const before = new Map(pending(keys).map((change) => [change.key, change]));
    const revisions = new Map<string, number>();
    for (const [key, answer] of await reading) {
      if (answer.kind === "unavailable") return UNAVAILABLE;
      values.set(key, answer.kind === "found" ? mirror.judge({ key, ...answer.message }).value : null);
      revisions.set(key, answer.kind === "found" ? answer.message.revision : 0);
      // The mirror shows the values that the decision was based on.
      if (answer.kind === "found") mirror.learn({ key, ...answer.message });
    }
    const changes = [...decide(values, { isStored: true })].map(([key, value]) => toChange(key, value, ids));
    for (const { key, value } of changes) {
      const reason = findObstacle(key, value);
      if (reason !== null) return { kind: "refused", reason };
    }
    // One connection keeps this order.
    const results = await Promise.all(
      changes.map(async (change) => {
        const expectedRevision = revisions.get(change.key) ?? 0;
        const result = await writeKey(connection, { bucket, signer, ...change, expectedRevision }, limit);
        if (result.kind !== "written") return result;
        written.add(change.key);
        // Part of this decision: no longer waiting.
        const former = before.get(change.key);
        if (former !== undefined) mirror.drop(former);
        mirror.written(change, result.revision);
        return result;
      }),
    );
    const refusal = results.find(({ kind }) => kind === "refused");
    if (refusal?.kind === "refused") return refusal;
    if (results.some(({ kind }) => kind === "unavailable")) return UNAVAILABLE;
    return results.some(({ kind }) => kind === "conflict") ? { kind: "conflict" } : { kind: "stored" };
  }

  async function wait({ keys, decide, ids, at }: Command, wasChanged: boolean): Promise<UpdateResult> {
    const heard = new Map(keys.map((key) => [key, mirror.get(key)?.value ?? null]));
    const changes = [...decide(heard, { isStored: false })];
    for (const [key, value] of changes) {
      const reason = findObstacle(key, value);
      if (reason !== null) return { kind: "refused", reason };
      if (!mirror.cover({ ...toChange(key, value, ids), commandedAt: at }))
        return { kind: "refused", reason: "too many keys" };
    }
    const diskFault = await commandFile.save();
    writing.wake();
    return { kind: "waiting", isChanged: wasChanged || changes.length > 0, diskFault };
  }

  return { update, isWaiting: (keys) => pending(keys).some(({ commandedAt }) => commandedAt !== null) };
}

interface Command {
  readonly keys: readonly string[];
  readonly decide: Decide;
  /** Keeps the message id over retries: a late first try is not stored twice. */
  readonly ids: ReadonlyMap<string, string>;
  readonly at: number;
}

function toChange(key: string, value: string | null, ids: ReadonlyMap<string, string>): LocalChange {
  return { key, value, id: ids.get(key) ?? crypto.randomUUID(), commandedAt: null };
}
