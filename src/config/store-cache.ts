// Reads each store once, however many subscriptions name it, and collects its faults and warnings.

import { createHash } from "node:crypto";
import type { IterationBudget } from "#keystore/budget.ts";
import type { Fault, Path } from "#schema/issue.ts";
import { isSecret } from "#schema/secret.ts";
import type { Secrets } from "./secrets.ts";
import type { Reading } from "./store-reading.ts";

/** The faults and warnings of all stores. */
export interface StoreNotes {
  readonly faults: Fault[];
  readonly warnings: Fault[];
}

interface Loaded<T> {
  readonly value: T;
  readonly warnings: readonly string[];
}

/** The result of reading a store, and its cost in key-derivation iterations. */
interface Known<T> {
  readonly reading: Reading<Loaded<T>>;
  readonly iterations: number;
}

/** By a digest of the store's settings. Reuse it only if the settings contain the whole store: a file may change. */
export type KnownStores<T> = ReadonlyMap<string, Known<T>>;

interface StoreCacheOptions<T> {
  readonly notes: StoreNotes;
  readonly secrets: Secrets;
  readonly budget: IterationBudget;
  /** Results to reuse; their cost is charged to `budget` again. */
  readonly former: KnownStores<T> | undefined;
}

interface StoreCache<Store extends object, T> {
  readonly known: KnownStores<T>;
  readonly load: (store: Store | undefined, path: Path) => Promise<void>;
  /** null: there is no such store, it was not looked up, or it has a fault. */
  readonly valueOf: (store: object | undefined) => T | null;
}

export function createStoreCache<Store extends object, T>(
  read: (store: Store) => Promise<Reading<Loaded<T>>>,
  { notes, secrets, budget, former }: StoreCacheOptions<T>,
): StoreCache<Store, T> {
  const values = new Map<object, T>();
  const known = new Map<string, Known<T>>();

  async function find(store: Store, identity: string): Promise<Reading<Loaded<T>>> {
    const shared = known.get(identity);
    if (shared !== undefined) return shared.reading;
    const same = former?.get(identity);
    if (same !== undefined && (same.iterations === 0 || budget.reuse(same.iterations))) {
      known.set(identity, same);
      return same.reading;
    }
    const before = budget.spent();
    const reading = await read(store);
    known.set(identity, { reading, iterations: budget.spent() - before });
    return reading;
  }

  const load = async (store: Store | undefined, path: Path) => {
    if (store === undefined) return;
    const identity = identityOf(store, secrets);
    const isShared = known.has(identity);
    const reading = await find(store, identity);
    if (reading.kind === "unknown") return;
    if (reading.kind === "faulty") {
      notes.faults.push(
        ...reading.faults.map(({ path: place, message }) => ({ path: [...path, ...place], message })),
      );
      return;
    }
    values.set(store, reading.value.value);
    if (isShared) return;
    // Many subscriptions may share a store: its warnings are listed once.
    notes.warnings.push(...reading.value.warnings.map((message) => ({ path, message })));
  };
  return { load, known, valueOf: (store) => (store === undefined ? null : (values.get(store) ?? null)) };
}

/** Equal for stores with equal settings and secret values. A faulty part (null) differs from an absent one. */
function identityOf(store: object, { valueOf }: Secrets): string {
  const text = JSON.stringify(store, (_, value: unknown) => {
    if (value === undefined) return null;
    return isSecret(value) ? [value.source.kind === "inline", valueOf(value) ?? null] : value;
  });
  return createHash("sha256").update(text).digest("base64");
}
