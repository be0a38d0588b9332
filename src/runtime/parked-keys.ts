// Parked keys of ordered subscriptions, on any relay: the active one lists its own in the bucket; the others read that, and ask it.
//
//   state.<id>.parked   the list, by the active relay; removed when no key is parked
//   state.<id>.unpark   the newest request to resume a key, by any relay; the sequence tells it from one for an earlier message

import { parseStored, toFields } from "#delivery/status.ts";
import { startTicks } from "#lib/ticks.ts";
import type { Bucket } from "#bucket/bucket.ts";
import type { ParkedKey } from "#pipeline/lanes.ts";
import type { RunningSubscription } from "./running.ts";
import type { PARKED_PARTS } from "./states.ts";

type Running = Pick<RunningSubscription, "subscription" | "active" | "parked" | "resumeParked">;

export interface ParkedKeys {
  /** Of the active relay, whichever that is. */
  list: (running: Running) => readonly ParkedKey[];
  /** Never rejects. */
  resume: (running: Running, request: ResumeRequest) => Promise<ResumeOutcome>;
  close: () => void;
}

export interface ResumeRequest {
  readonly key: string;
  /** The first message of the key is acknowledged without a request. */
  readonly skip: boolean;
}

export type ResumeOutcome =
  /** `host`: of the active relay; null: it is not known. */
  | { readonly kind: "resumed" | "asked"; readonly sequence: number; readonly host: string | null }
  | { readonly kind: "not-parked" }
  /** The message to skip is being sent. */
  | { readonly kind: "in-flight" }
  | { readonly kind: "unavailable"; readonly reason: string };

interface ParkedKeysOptions {
  readonly running: () => readonly Running[];
  readonly now: () => number;
}

interface Written {
  readonly text: string;
  /** What a new text is written for at once: the counts of messages change all the time. */
  readonly essence: string;
  readonly at: number;
}

const TICK_MS = 1000;
const COUNTS_MS = 10_000;
const ASK_MS = 5000;
const ASK_TRIES = 3;
const MAX_CAUSE_LENGTH = 300;
/** A value of the bucket has 256 KiB at most. */
const MAX_LIST_LENGTH = 200_000;

export function createParkedKeys(
  bucket: Pick<Bucket, "get" | "put" | "remove" | "write" | "onChange">,
  { running, now }: ParkedKeysOptions,
): ParkedKeys {
  const written = new Map<string, Written>();
  const keyOf = (id: string, part: (typeof PARKED_PARTS)[number]) => `state.${id}.${part}`;
  const stopTicks = startTicks(TICK_MS, publishAll);
  const stopFollowing = bucket.onChange((key, entry) => {
    const id = /^state\.(.+)\.unpark$/u.exec(key)?.[1];
    if (id !== undefined && entry !== null) take(id, entry.value);
  });

  function publishAll(): void {
    for (const one of running()) if (one.subscription.ordering?.onFailure === "key") publish(one);
  }

  function publish(one: Running): void {
    const { id } = one.subscription;
    const key = keyOf(id, "parked");
    const active = one.active();
    const keys = active?.isHere === true ? one.parked() : [];
    if (keys.length === 0) {
      // Another relay that is active now lists its own again, if it had done so already.
      if (written.delete(id) || (active?.isHere === true && bucket.get(key) !== null)) bucket.remove(key);
      return;
    }
    const before = written.get(id);
    const text = toList(keys, ({ messages }) => messages);
    const essence = toList(keys, () => 0);
    const isStored = before !== undefined && bucket.get(key)?.value === before.text;
    const isSame = before?.essence === essence && now() - before.at < COUNTS_MS;
    if (isStored && (isSame || before.text === text)) return;
    written.set(id, { text, essence, at: now() });
    bucket.put(key, text);
  }

  function list(one: Running): readonly ParkedKey[] {
    const active = one.active();
    if (active === null || active.isHere) return one.parked();
    return parseList(bucket.get(keyOf(one.subscription.id, "parked"))?.value ?? null);
  }

  /** A request that another relay wrote. */
  function take(id: string, text: string): void {
    const one = running().find(({ subscription }) => subscription.id === id);
    const { key, sequence, skip } = toFields(parseStored(text));
    if (one?.active()?.isHere !== true || typeof key !== "string") return;
    const isParked = one.parked().some((parked) => parked.key === key && parked.sequence === sequence);
    if (isParked) one.resumeParked(key, { skip: skip === true });
  }

  async function ask(
    id: string,
    request: ResumeRequest & { readonly sequence: number },
  ): Promise<"asked" | { readonly reason: string }> {
    const key = keyOf(id, "unpark");
    const text = JSON.stringify({ ...request, at: new Date().toISOString() });
    let expectedRevision = bucket.get(key)?.revision ?? 0;
    for (let tries = 1; tries <= ASK_TRIES; tries += 1) {
      const signal = AbortSignal.timeout(ASK_MS);
      const result = await bucket.write(key, text, { expectedRevision, signal });
      if (result.kind === "written") return "asked";
      if (result.kind !== "conflict") return { reason: result.reason };
      expectedRevision = result.revision ?? 0;
    }
    return { reason: "other requests came at the same time" };
  }

  return {
    list,
    async resume(one, request) {
      const { key, skip } = request;
      const found = list(one).find((parked) => parked.key === key);
      if (found === undefined) return { kind: "not-parked" };
      const { sequence } = found;
      const active = one.active();
      const host = active?.host ?? null;
      if (active === null || active.isHere) {
        const result = one.resumeParked(key, { skip });
        return result === "resumed" ? { kind: result, sequence, host } : { kind: result };
      }
      const result = await ask(one.subscription.id, { key, skip, sequence });
      return result === "asked"
        ? { kind: "asked", sequence, host }
        : { kind: "unavailable", reason: result.reason };
    },
    close() {
      stopTicks();
      stopFollowing();
    },
  };
}

/** As many as fit: half of the largest window. */
function toList(keys: readonly ParkedKey[], countOf: (parked: ParkedKey) => number): string {
  const items: string[] = [];
  let length = 0;
  for (const parked of keys) {
    const { key, since, sequence, failures, nextTryAt } = parked;
    const cause = parked.cause.slice(0, MAX_CAUSE_LENGTH);
    const messages = countOf(parked);
    const item = JSON.stringify({ key, since, cause, sequence, messages, failures, nextTryAt });
    length += Buffer.byteLength(item) + 1;
    if (length > MAX_LIST_LENGTH) break;
    items.push(item);
  }
  return `[${items.join(",")}]`;
}

/** Skips what cannot be read. */
function parseList(text: string | null): readonly ParkedKey[] {
  const value = parseStored(text);
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    const { key, since, cause, sequence, messages, failures, nextTryAt } = toFields(item);
    if (typeof key !== "string" || typeof cause !== "string" || typeof since !== "string") return [];
    if (!isCount(sequence) || !isCount(messages) || !isCount(failures)) return [];
    const time = new Date(since);
    if (Number.isNaN(time.getTime())) return [];
    return [{ key, since: time, cause, sequence, messages, failures, nextTryAt: toTime(nextTryAt) }];
  });
}

/** Null: none. */
function toTime(value: unknown): Date | null {
  const time = typeof value === "string" ? new Date(value) : null;
  return time === null || Number.isNaN(time.getTime()) ? null : time;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
