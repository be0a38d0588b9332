// What a relay knows of a bucket: what the feed brought, covered by what was changed here and has not come back yet.
//
//   changed here: unwritten --stored by the server--> written --brought by the feed--> gone
//
// Only the feed changes what lies under the cover, so that there is one order of things. What is read anew replaces all
// of it at once, whatever the revisions: the bucket may be another one of the same name.
//
// With a seal, an entry that does not prove that a relay wrote it counts for nothing: what was known of its key before goes on.

import { messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import type { StoredChange } from "./feed.ts";
import type { BucketSeal } from "./seal.ts";

export interface BucketEntry {
  readonly key: string;
  readonly value: string;
  /** Of the bucket, grows with each change; 0: not stored yet. */
  readonly revision: number;
}

export type BucketListener = (key: string, entry: BucketEntry | null) => void;

export interface LocalChange {
  readonly key: string;
  /** null: removed. */
  readonly value: string | null;
  /** The server stores one of an id once, however often it is sent. */
  readonly id: string;
  /** When somebody commanded it, by the clock of this host; null: it is Relay's own. */
  readonly commandedAt: number | null;
}

/** A change that Relay makes by itself. */
export function toLocalChange(key: string, value: string | null): LocalChange {
  return { key, value, id: crypto.randomUUID(), commandedAt: null };
}

/** The value of an entry that does not prove itself, where none is known that did: nobody can read anything out of it. */
export const REFUSED = "";

/** What an entry counts for. */
interface Judged extends StoredChange {
  /** It does not prove that a relay wrote it: `value` is what was known before, or REFUSED. */
  readonly isRefused: boolean;
}

export interface Mirror {
  get: (key: string) => BucketEntry | null;
  list: (prefix: string) => readonly BucketEntry[];
  count: () => number;
  onChange: (listener: BucketListener) => () => void;
  /** Covers what is stored. False: too many keys. */
  cover: (change: LocalChange) => boolean;
  /** In the order of the first change of a key; without those that were refused. */
  unwritten: () => readonly LocalChange[];
  /** The server will never take it: it counts here, until something newer is stored. Nothing if the key was changed again since. */
  refused: (change: LocalChange, reason: string) => void;
  /** Why something is refused; null: nothing is. */
  refusal: () => string | null;
  /** What was refused may be taken now. */
  retryRefused: () => void;
  /** Takes it back: what is stored counts. Nothing if the key was changed again since. */
  drop: (change: LocalChange) => void;
  /** A change of here, covered before or not, was stored. Nothing if the key was changed here again since. */
  written: (change: LocalChange, revision: number) => void;
  /** What the feed tells from now on is the whole content, until `endReading`. */
  beginReading: () => void;
  endReading: () => void;
  /** From the feed. */
  take: (change: StoredChange) => void;
  /** Read by itself: the feed may not have brought it yet. */
  learn: (change: StoredChange) => void;
  judge: (change: StoredChange) => Judged;
  /** What is stored there does not prove itself. */
  isRefused: (key: string) => boolean;
  /** Keys of that kind. */
  refusedKeys: () => readonly string[];
  /** Marks that removals left in the bucket, the oldest first; they are forgotten here. None while they are few. */
  takeOldMarks: () => readonly StoredChange[];
}

/** The most subscriptions that the API makes, and as much again for their states. */
export const MAX_KEYS = 20_000;
export const MAX_VALUE_BYTES = 256 * 1024;
/** Why an entry counts for nothing. */
export const NOT_PROVEN = "It does not prove that a relay with this state.key wrote it";
const MAX_MARKS = 500;
/** Somebody may put many there. */
const MAX_LOGGED = 100;

/** `writtenIn`: the number of the reading during which it was stored. */
interface Cover {
  readonly change: LocalChange;
  readonly stored: { readonly revision: number; readonly writtenIn: number } | null;
  /** Why the server will never take it; null: it may. */
  readonly refusal: string | null;
}

type Content = Map<string, Judged>;

export function createMirror({
  logger,
  bucket,
  seal,
}: {
  logger: Logger;
  bucket: string;
  /** Null: every entry counts. */
  seal: BucketSeal | null;
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

  /** Does it, and tells who listens what is different to them. */
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

  /** Takes the cover away if what it covers is as new. */
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
    if (value === null || seal === null || seal.isProven(key, value, signature))
      return { ...change, isRefused: false };
    const cover = covers.get(key);
    const known = cover?.stored === null ? cover.change.value : (content.get(key)?.value ?? null);
    return { ...change, value: known ?? REFUSED, isRefused: true };
  }

  function logRefusal({ key, isRefused }: Judged): void {
    if (!isRefused || content.get(key)?.isRefused === true || refusalsLogged >= MAX_LOGGED) return;
    refusalsLogged += 1;
    logger.error("An entry of the bucket is refused", { bucket, key, reason: NOT_PROVEN });
  }

  function take(told: StoredChange): void {
    const change = judge(told);
    const { key } = change;
    const target = reading ?? content;
    // What was read by itself may be newer.
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
    // What is read anew has it, or something newer.
    if (reading === null) take(change);
  }

  /** Logs what is left out: once, for there will be more of it. */
  function isBounded({ key, value }: StoredChange, target: Content): boolean {
    const isTooLarge = value !== null && value.length > MAX_VALUE_BYTES;
    const isTooMany = !target.has(key) && target.size >= MAX_KEYS + MAX_MARKS;
    if (!isTooLarge && !isTooMany) return true;
    const reason = isTooLarge ? "value too large" : "too many keys";
    if (!isExcessLogged) logger.error("An entry of the bucket is left out", { bucket, key, reason });
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
