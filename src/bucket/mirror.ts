// The local mirror of the bucket: the feed's entries, overlaid by local changes that the feed has not delivered yet.
//
//   local change: unwritten --stored by the server--> written --delivered by the feed--> gone
//
// Only the feed changes the entries below the overlay, so there is one order of changes. A new complete read replaces them all
// at once, whatever the revisions: the bucket may be another one of the same name.
//
// With a signer, an entry without a valid signature is ignored: the last valid value of its key stays.

import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import type { StoredChange } from "./feed.ts";
import type { BucketSigner } from "./signer.ts";

export interface BucketEntry {
  readonly key: string;
  readonly value: string;
  /** Revision in the bucket, grows with each change; 0: not stored yet. */
  readonly revision: number;
}

export type BucketListener = (key: string, entry: BucketEntry | null) => void;

export interface LocalChange {
  readonly key: string;
  /** null: removed. */
  readonly value: string | null;
  /** Message id: the server stores a repeated one only once. */
  readonly id: string;
  /** Time of the operator's command, by this host's clock; null: Relay's own change. */
  readonly commandedAt: number | null;
}

/** A change that Relay makes by itself. */
export function toLocalChange(key: string, value: string | null): LocalChange {
  return { key, value, id: crypto.randomUUID(), commandedAt: null };
}

/** The value of an unsigned entry if its key never had a valid one. No reader of entries accepts it. */
export const REFUSED = "";

/** An entry with the value that counts. */
interface Judged extends StoredChange {
  /** The entry has no valid signature: `value` is the last valid one, or REFUSED. */
  readonly isRefused: boolean;
}

export interface Mirror {
  get: (key: string) => BucketEntry | null;
  list: (prefix: string) => readonly BucketEntry[];
  count: () => number;
  onChange: (listener: BucketListener) => () => void;
  /** Adds a local change over the stored entry. False: too many keys. */
  cover: (change: LocalChange) => boolean;
  /** Unwritten changes, in the order of each key's first change, without refused ones. */
  unwritten: () => readonly LocalChange[];
  /** The server refused the change for good: it counts here until a newer value is stored. No effect if the key changed since. */
  refused: (change: LocalChange, reason: string) => void;
  /** Why a change is refused; null: none is. */
  refusal: () => string | null;
  /** Tries refused changes again. */
  retryRefused: () => void;
  /** Drops a change: the stored value counts. No effect if the key changed since. */
  drop: (change: LocalChange) => void;
  /** A local change was stored. No effect if the key changed here since. */
  written: (change: LocalChange, revision: number) => void;
  /** The feed delivers the whole content from now on, until `endReading`. */
  beginReading: () => void;
  endReading: () => void;
  /** Applies a change of the feed. */
  take: (change: StoredChange) => void;
  /** Applies an entry that was read directly: the feed may not have delivered it yet. */
  learn: (change: StoredChange) => void;
  judge: (change: StoredChange) => Judged;
  /** True if the stored entry has no valid signature. */
  isRefused: (key: string) => boolean;
  /** Keys of entries without a valid signature. */
  refusedKeys: () => readonly string[];
  /** Takes old delete markers to clean up, oldest first; none while there are few. */
  takeOldMarks: () => readonly StoredChange[];
}

/** Twice the API's limit of subscriptions: each has a key for itself and one for its state. */
export const MAX_KEYS = 20_000;
export const MAX_VALUE_BYTES = 256 * 1024;
/** Why an entry is ignored. */
export const NOT_SIGNED = "It does not prove that a relay with this state.key wrote it";
const MAX_MARKS = 500;
/** Bounds the list, because any client of the account can write many bad entries. */
const MAX_LOGGED = 100;

/** `writtenIn`: the number of the reading during which it was stored. */
interface Cover {
  readonly change: LocalChange;
  readonly stored: { readonly revision: number; readonly writtenIn: number } | null;
  /** Why the server refuses it for good; null: it may be stored. */
  readonly refusal: string | null;
}

type Content = Map<string, Judged>;

export function createMirror({
  logger,
  bucket,
  signer,
}: {
  logger: Logger;
  bucket: string;
  /** null: unsigned entries count. */
  signer: BucketSigner | null;
}): Mirror {
  const listeners = new Set<BucketListener>();
  const covers = new Map<string, Cover>();
  /** Removed keys included. */
  let content: Content = new Map();
  let reading: Content | null = null;
  let readings = 0;
  let isExcessLogged = false;
  let refusalsLogged = 0;

  function get(key: string): BucketEntry | null {
    const cover = covers.get(key);
    const stored = content.get(key);
    if (cover === undefined) return stored === undefined ? null : toEntry(stored);
    const beneath = stored === undefined || stored.value === null ? 0 : stored.revision;
    return toEntry({ ...cover.change, revision: cover.stored?.revision ?? beneath });
  }

  function list(prefix: string): readonly BucketEntry[] {
    const keys = new Set([...content.keys(), ...covers.keys()]);
    return [...keys]
      .filter((key) => key.startsWith(prefix))
      .sort()
      .flatMap((key) => get(key) ?? []);
  }

  function count(): number {
    let keys = 0;
    for (const key of content.keys()) if (get(key) !== null) keys += 1;
    for (const key of covers.keys()) if (!content.has(key) && get(key) !== null) keys += 1;
    return keys;
  }

  /** Applies a change and notifies the listeners of a new value. */
  function changing(keys: Iterable<string>, change: () => void): void {
    const before = new Map([...keys].map((key) => [key, get(key)?.value ?? null]));
    change();
    for (const [key, value] of before) {
      const entry = get(key);
      if ((entry?.value ?? null) !== value) tell(key, entry);
    }
  }

  function tell(key: string, entry: BucketEntry | null): void {
    for (const listener of listeners) {
      try {
        listener(key, entry);
      } catch (error) {
        logger.error("A listener to the bucket failed", { bucket, key, error: messageOf(error) });
      }
    }
  }

  function cover(change: LocalChange): boolean {
    const { key } = change;
    if (!covers.has(key) && covers.size >= MAX_KEYS) return false;
    changing([key], () => covers.set(key, { change, stored: null, refusal: null }));
    return true;
  }

  function unwritten(): readonly LocalChange[] {
    return [...covers.values()].flatMap(({ change, stored, refusal }) =>
      stored === null && refusal === null ? [change] : [],
    );
  }

  function isCurrent(change: LocalChange): boolean {
    const cover = covers.get(change.key);
    return cover !== undefined && cover.stored === null && cover.change === change;
  }

  function refused(change: LocalChange, reason: string): void {
    if (isCurrent(change)) covers.set(change.key, { change, stored: null, refusal: reason });
  }

  function refusal(): string | null {
    for (const cover of covers.values()) if (cover.refusal !== null) return cover.refusal;
    return null;
  }

  function retryRefused(): void {
    for (const [key, cover] of covers)
      if (cover.refusal !== null) covers.set(key, { ...cover, refusal: null });
  }

  function drop(change: LocalChange): void {
    if (isCurrent(change)) changing([change.key], () => covers.delete(change.key));
  }

  function written(change: LocalChange, revision: number): void {
    const { key } = change;
    const current = covers.get(key);
    if (current !== undefined && isLater(current, change, revision)) return;
    const stored = { revision, writtenIn: readings };
    changing([key], () => {
      covers.set(key, { change, stored, refusal: null });
      if (reading === null) uncover(key);
    });
  }

  /** Removes a local change once the stored entry is as new. */
  function uncover(key: string): void {
    const revision = covers.get(key)?.stored?.revision;
    const known = content.get(key)?.revision;
    if (revision !== undefined && known !== undefined && known >= revision) covers.delete(key);
  }

  function beginReading(): void {
    reading = new Map();
    readings += 1;
  }

  function endReading(): void {
    if (reading === null) return;
    const next = reading;
    changing([...content.keys(), ...next.keys(), ...covers.keys()], () => {
      content = next;
      reading = null;
      for (const [key, { stored }] of covers) {
        if (stored !== null && stored.writtenIn < readings) covers.delete(key);
        else uncover(key);
      }
    });
  }

  function judge(change: StoredChange): Judged {
    const { key, value, signature } = change;
    if (value === null || signer === null || signer.verify(key, value, signature))
      return { ...change, isRefused: false };
    const cover = covers.get(key);
    const known = cover?.stored === null ? cover.change.value : (content.get(key)?.value ?? null);
    return { ...change, value: known ?? REFUSED, isRefused: true };
  }

  function logRefusal({ key, isRefused }: Judged): void {
    if (!isRefused || content.get(key)?.isRefused === true || refusalsLogged >= MAX_LOGGED) return;
    refusalsLogged += 1;
    logger.error("An entry of the bucket is refused", { bucket, key, reason: NOT_SIGNED });
  }

  function take(told: StoredChange): void {
    const change = judge(told);
    const { key } = change;
    const target = reading ?? content;
    // `learn` may have brought a newer entry.
    const isOld = reading === null && (content.get(key)?.revision ?? 0) > change.revision;
    if (isOld || !isBounded(change, target)) return;
    logRefusal(change);
    if (reading !== null) return put(reading, change);
    changing([key], () => {
      put(content, change);
      uncover(key);
      if ((covers.get(key)?.refusal ?? null) !== null) covers.delete(key);
    });
  }

  function learn(change: StoredChange): void {
    // The new read contains it, or something newer.
    if (reading === null) take(change);
  }

  /** Logs only the first ignored entry: more will follow. */
  function isBounded({ key, value }: StoredChange, target: Content): boolean {
    const isTooLarge = value !== null && value.length > MAX_VALUE_BYTES;
    const isTooMany = !target.has(key) && target.size >= MAX_KEYS + MAX_MARKS;
    if (!isTooLarge && !isTooMany) return true;
    const reason = isTooLarge ? "value too large" : "too many keys";
    if (!isExcessLogged) logger.error("Ignored an entry of the bucket", { bucket, key, reason });
    isExcessLogged = true;
    return false;
  }

  function takeOldMarks(): readonly StoredChange[] {
    if (reading !== null) return [];
    const marks = [...content.values()].filter(({ value }) => value === null);
    if (marks.length <= MAX_MARKS) return [];
    const old = marks.slice(0, marks.length - MAX_MARKS / 2);
    for (const { key } of old) content.delete(key);
    return old;
  }

  return {
    get,
    list,
    count,
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    cover,
    unwritten,
    refused,
    refusal,
    retryRefused,
    drop,
    written,
    beginReading,
    endReading,
    take,
    learn,
    judge,
    isRefused: (key) => content.get(key)?.isRefused ?? false,
    refusedKeys: () => [...content.values()].flatMap(({ key, isRefused }) => (isRefused ? [key] : [])),
    takeOldMarks,
  };
}

function isLater({ change, stored }: Cover, other: LocalChange, revision: number): boolean {
  return stored === null ? change !== other : stored.revision > revision;
}

/** In the order of the revisions. */
function put(content: Content, change: Judged): void {
  content.delete(change.key);
  content.set(change.key, change);
}

function toEntry({ key, value, revision }: Omit<StoredChange, "signature">): BucketEntry | null {
  return value === null ? null : { key, value, revision };
}
