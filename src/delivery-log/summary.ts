// Summarizes a block of records, so that a filter skips a block that cannot hold what it looks for. PURE.
//
// A summary lists the few distinct values of each field. Of a field with many it lists none: they are in its Bloom filter,
// beside the sequences. So a record costs some bytes of summary, where an index of the file would cost a page of writes.

import { isStatus, type RecordFilter, type DeliveryRecord } from "#delivery/record.ts";
import { hasWildcard, isWithin } from "#delivery/subject.ts";

const FIELDS = ["status", "entrypoint", "subscription", "application", "callbackUrl", "subject"] as const;
type Field = (typeof FIELDS)[number];

/** Values as texts; null: there are too many, and they are in the Bloom filter. */
type Values = Readonly<Record<Field, readonly string[] | null>>;

export interface Summary {
  readonly values: Values;
  /** Of the first attempts, in ms. */
  readonly oldestMs: number;
  readonly newestMs: number;
  readonly bloom: Uint8Array;
}

/** The records of a block that is not complete. Written to here only. */
export interface OpenBlock {
  readonly count: number;
  add: (record: SummarizedRecord) => void;
  summarize: () => Summary;
}

type SummarizedRecord = Pick<
  DeliveryRecord,
  "date" | "status" | "entrypoint" | "subscription" | "application" | "callbackUrl" | "message"
>;

/** A block is complete with so many, and the rest of a batch. */
export const BLOCK_RECORDS = 2000;

const MAX_LISTED = 64;
const MAX_LISTED_LENGTH = 4096;
/** For 3 terms of each record: about 1 % of the blocks are read in vain. */
const BLOOM_BYTES = 8192;
const BLOOM_HASHES = 4;
const NONE = "";

export function createOpenBlock(): OpenBlock {
  const seen: Readonly<Record<Field, Set<string | number>>> = {
    status: new Set(),
    entrypoint: new Set(),
    subscription: new Set(),
    application: new Set(),
    callbackUrl: new Set(),
    subject: new Set(),
  };
  const sequences = new Set<number>();
  let count = 0;
  let oldestMs = Infinity;
  let newestMs = -Infinity;
  /** Until a record is added. */
  let known: Summary | null = null;

  function summarize(): Summary {
    const bloom = new Uint8Array(BLOOM_BYTES);
    const listed = (field: Field): readonly string[] | null => {
      const values = Array.from(seen[field], String);
      const isShort = values.length <= MAX_LISTED && values.join("").length <= MAX_LISTED_LENGTH;
      if (isShort) return values;
      for (const value of values) addTo(bloom, toTerm(field, value));
      return null;
    };
    for (const sequence of sequences) addTo(bloom, toTerm("sequence", String(sequence)));
    const values: Values = {
      status: listed("status"),
      entrypoint: listed("entrypoint"),
      subscription: listed("subscription"),
      application: listed("application"),
      callbackUrl: listed("callbackUrl"),
      subject: listed("subject"),
    };
    return { values, oldestMs, newestMs, bloom };
  }

  return {
    get count() {
      return count;
    },
    add({ date, status, entrypoint, subscription, application, callbackUrl, message }) {
      known = null;
      count += 1;
      seen.status.add(status);
      seen.entrypoint.add(entrypoint);
      seen.subscription.add(subscription);
      seen.application.add(application ?? NONE);
      seen.callbackUrl.add(callbackUrl);
      seen.subject.add(message.subject);
      sequences.add(message.sequence);
      const dateMs = date.getTime();
      oldestMs = Math.min(oldestMs, dateMs);
      newestMs = Math.max(newestMs, dateMs);
    },
    summarize: () => (known ??= summarize()),
  };
}

/** False: no record of the block meets the filter. */
export function mayHold({ values, oldestMs, newestMs, bloom }: Summary, filter: RecordFilter): boolean {
  const { from, to, status, callbackUrl, subject, sequence, message } = filter;
  if (from !== null && newestMs < from.getTime()) return false;
  if (to !== null && oldestMs >= to.getTime()) return false;
  const mayHoldSequence = (wanted: number) => isIn(bloom, toTerm("sequence", String(wanted)));
  if (sequence.length > 0 && !sequence.some(mayHoldSequence)) return false;
  if (message.length > 0 && !message.some((one) => mayHoldSequence(one.sequence))) return false;
  for (const field of ["subscription", "application", "entrypoint"] as const) {
    const listed = values[field];
    const isThere = (wanted: string) => listed?.includes(wanted) ?? isIn(bloom, toTerm(field, wanted));
    if (filter[field].length > 0 && !filter[field].some(isThere)) return false;
  }
  const isListed = (field: Field, isMeant: (value: string) => boolean) =>
    values[field]?.some(isMeant) ?? true;
  if (status.length > 0 && !isListed("status", (value) => isStatus(Number(value), status))) return false;
  if (
    callbackUrl.length > 0 &&
    !isListed("callbackUrl", (url) => callbackUrl.some((part) => url.includes(part)))
  )
    return false;
  return subject.length === 0 || subject.some((wanted) => mayHoldSubject({ values, bloom }, wanted));
}

function mayHoldSubject({ values, bloom }: Pick<Summary, "values" | "bloom">, wanted: string): boolean {
  if (values.subject !== null) return values.subject.some((subject) => isWithin(subject, wanted));
  return hasWildcard(wanted) || isIn(bloom, toTerm("subject", wanted));
}

function toTerm(field: Field | "sequence", value: string): string {
  return `${field} ${value}`;
}

function addTo(bloom: Uint8Array, term: string): void {
  for (const bit of bitsOf(term)) bloom[bit >> 3] = (bloom[bit >> 3] ?? 0) | (1 << (bit & 7));
}

function isIn(bloom: Uint8Array, term: string): boolean {
  return bitsOf(term).every((bit) => ((bloom[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0);
}

/** Double hashing over FNV-1a. */
function bitsOf(term: string): readonly number[] {
  let hash = 0x811c9dc5;
  for (let index = 0; index < term.length; index += 1) {
    hash = Math.imul(hash ^ term.charCodeAt(index), 0x01000193);
  }
  const first = mixed(hash);
  const second = mixed(first) | 1;
  const bits = BLOOM_BYTES * 8;
  return Array.from({ length: BLOOM_HASHES }, (_, index) => (first + Math.imul(index, second)) >>> 0).map(
    (value) => value % bits,
  );
}

/** The finalizer of MurmurHash3: neighbouring sequences are far apart afterwards. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
