// Summarizes a block of records, so that a filter can skip blocks without matching records. PURE.
//
// A summary lists the distinct values of each field. If there are too many, they go into its Bloom filter, where the
// sequences are too. This costs a few bytes for each record; an index of the table would write a page.

import { isStatus, type RecordFilter, type DeliveryRecord } from "#delivery/record.ts";
import { hasWildcard, isWithin } from "#delivery/subject.ts";

const FIELDS = ["status", "entrypoint", "subscription", "application", "callbackUrl", "subject"] as const;
type Field = (typeof FIELDS)[number];

/** The distinct values as texts; null: there are too many, and they are in the Bloom filter. */
type Values = Readonly<Record<Field, readonly string[] | null>>;

export interface Summary {
  readonly values: Values;
  /** Time of the oldest first attempt, in milliseconds since 1970. */
  readonly oldestMs: number;
  readonly newestMs: number;
  readonly bloom: Uint8Array;
}

/** A block that still grows. Its owner only calls its functions. */
export interface OpenBlock {
  readonly count: number;
  add: (record: SummarizedRecord) => void;
  summarize: () => Summary;
}

type SummarizedRecord = Pick<
  DeliveryRecord,
  "date" | "status" | "entrypoint" | "subscription" | "application" | "callbackUrl" | "message"
>;

/** A block is complete at the end of the batch that reaches this number. */
export const BLOCK_RECORDS = 2000;

const MAX_LISTED = 256;
const MAX_LISTED_LENGTH = 16_384;
/** With 3 terms for each record, about 1 % of the blocks are read in vain. */
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
  const sequences: number[] = [];
  let last: SummarizedRecord | null = null;
  let count = 0;
  let oldestMs = Infinity;
  let newestMs = -Infinity;
  /** The result of the last `summarize`; null: a record was added since. */
  let known: Summary | null = null;

  function summarize(): Summary {
    const bloom = new Uint8Array(BLOOM_BYTES);
    const listed = (field: Field): readonly string[] | null => {
      const values = Array.from(seen[field], String);
      const isShort = values.length <= MAX_LISTED && values.join("").length <= MAX_LISTED_LENGTH;
      if (isShort) return values;
      for (const value of values) addTo(bloom, hashValue(field, value));
      return null;
    };
    for (const sequence of sequences) addTo(bloom, hashSequence(sequence));
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
    add(record) {
      const { date, status, entrypoint, subscription, application, callbackUrl, message } = record;
      known = null;
      count += 1;
      seen.status.add(status);
      sequences.push(message.sequence);
      const dateMs = date.getTime();
      if (dateMs < oldestMs) oldestMs = dateMs;
      if (dateMs > newestMs) newestMs = dateMs;
      if (message.subject !== last?.message.subject) seen.subject.add(message.subject);
      const isAlike =
        subscription === last?.subscription &&
        callbackUrl === last.callbackUrl &&
        entrypoint === last.entrypoint &&
        application === last.application;
      last = record;
      if (isAlike) return;
      seen.entrypoint.add(entrypoint);
      seen.subscription.add(subscription);
      seen.application.add(application ?? NONE);
      seen.callbackUrl.add(callbackUrl);
    },
    summarize: () => (known ??= summarize()),
  };
}

/** False: no record of the block matches the filter. True: one may. */
export function mayHold({ values, oldestMs, newestMs, bloom }: Summary, filter: RecordFilter): boolean {
  const { from, to, status, callbackUrl, subject, sequence, message } = filter;
  if (from !== null && newestMs < from.getTime()) return false;
  if (to !== null && oldestMs >= to.getTime()) return false;
  const mayHoldSequence = (wanted: number) => isIn(bloom, hashSequence(wanted));
  if (sequence.length > 0 && !sequence.some(mayHoldSequence)) return false;
  if (message.length > 0 && !message.some((one) => mayHoldSequence(one.sequence))) return false;
  for (const field of ["subscription", "application", "entrypoint"] as const) {
    const listed = values[field];
    const isThere = (wanted: string) => listed?.includes(wanted) ?? isIn(bloom, hashValue(field, wanted));
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
  return hasWildcard(wanted) || isIn(bloom, hashValue("subject", wanted));
}

const BITS = BLOOM_BYTES * 8;

/** Double hashing, without a list of bits: a block has thousands of terms. */
function addTo(bloom: Uint8Array, hash: number): void {
  const step = mixed(hash) | 1;
  for (let index = 0, at = hash; index < BLOOM_HASHES; index += 1, at = (at + step) | 0) {
    const bit = (at >>> 0) % BITS;
    bloom[bit >> 3] = (bloom[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
}

function isIn(bloom: Uint8Array, hash: number): boolean {
  const step = mixed(hash) | 1;
  for (let index = 0, at = hash; index < BLOOM_HASHES; index += 1, at = (at + step) | 0) {
    const bit = (at >>> 0) % BITS;
    if (((bloom[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

function hashSequence(sequence: number): number {
  return mixed(mixed(sequence) ^ Math.floor(sequence / 2 ** 32));
}

/** FNV-1a. */
function hashValue(field: Field, value: string): number {
  let hash = 0x811c9dc5 ^ FIELDS.indexOf(field);
  for (let index = 0; index < value.length; index += 1) {
    hash = Math.imul(hash ^ value.charCodeAt(index), 0x01000193);
  }
  return mixed(hash);
}

/** The finalizer of MurmurHash3: neighbouring sequences are far apart afterwards. */
function mixed(hash: number): number {
  let value = hash;
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
