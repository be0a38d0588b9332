// Stores of one kind, each read once however many subscriptions name it, with all that is to be said of them.

import { createHash } from "node:crypto";
import { type Fault, formatPath, type Path } from "./issue.ts";
import { isSecret } from "./schema-secret.ts";
import type { Secrets } from "./secrets.ts";
import type { Reading } from "./store-reading.ts";

/** Collected from all stores. */
export interface StoreNotes {
  readonly faults: Fault[];
  readonly warnings: string[];
}

export interface Loaded<T> {
  readonly value: T;
  readonly warnings: readonly string[];
}

export interface Shelf<Store extends object, T> {
  readonly load: (store: Store | undefined, path: Path) => void;
  /** null: the store is not there, not looked up or at fault. */
  readonly valueOf: (store: object | undefined) => T | null;
}

export function createShelf<Store extends object, T>(
  read: (store: Store) => Reading<Loaded<T>>,
  { notes, secrets }: { notes: StoreNotes; secrets: Secrets },
): Shelf<Store, T> {
  const values = new Map<object, T>();
  const known = new Map<string, Reading<Loaded<T>>>();

  const load = (store: Store | undefined, path: Path) => {
    if (store === undefined) return;
    const identity = identityOf(store, secrets);
    const before = known.get(identity);
    const reading = before ?? read(store);
    known.set(identity, reading);
    if (reading.kind === "unknown") return;
    if (reading.kind === "faulty") {
      notes.faults.push(
        ...reading.faults.map(({ path: place, message }) => ({ path: [...path, ...place], message })),
      );
      return;
    }
    values.set(store, reading.value.value);
    if (before !== undefined) return;
    // Of a store that many share it is said once.
    notes.warnings.push(...reading.value.warnings.map((warning) => `${formatPath(path)}: ${warning}`));
  };
  return { load, valueOf: (store) => (store === undefined ? null : (values.get(store) ?? null)) };
}

/** The same for all that say the same, wherever their secrets stand; a part at fault differs from one that is absent. */
function identityOf(store: object, { valueOf }: Secrets): string {
  const text = JSON.stringify(store, (_, value: unknown) => {
    if (value === undefined) return null;
    return isSecret(value) ? [value.source.kind === "inline", valueOf(value) ?? null] : value;
  });
  return createHash("sha256").update(text).digest("base64");
}
