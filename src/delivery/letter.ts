// Parses an entry of a dead-letter stream from its subject and headers, and matches it with filters.

import { parseLetterSuffix, toForeignId, toLetterId } from "./letter-id.ts";
import type { Header } from "./message.ts";
import type { Failure } from "./outcome.ts";

/** As stored in the stream, without its body. */
export interface StoredLetter {
  readonly domain: string | null;
  readonly stream: string;
  readonly sequence: number;
  readonly subject: string;
  readonly storedAtNanos: bigint;
  readonly headers: readonly Header[];
  /** Of the body, in bytes. */
  readonly size: number;
}

interface EntryBase {
  /** Stays while a replay replaces the entry. */
  readonly id: string;
  /** The name of its endpoint. */
  readonly endpoint: string;
  /** Its sequence in the dead-letter stream. */
  readonly position: number;
  readonly storedAtNanos: bigint;
  readonly date: Date;
  readonly size: number;
}

/** A field is null if the headers lack it: a letter that was too large lost them. */
export interface Letter extends EntryBase {
  readonly kind: "letter";
  /** Its subject below the producer's subject. */
  readonly subjectSuffix: string;
  readonly subscription: string;
  readonly stream: string;
  readonly sequence: number;
  readonly timestampNanos: bigint;
  readonly subject: string | null;
  readonly entrypoint: string | null;
  readonly application: string | null;
  readonly reason: LetterReason | null;
  /** 0: there was no response. */
  readonly status: number | null;
  readonly error: string | null;
  readonly attempts: number | null;
  readonly replays: number;
}

/** An entry that Relay did not write, or without proof that it did. */
interface Foreign extends EntryBase {
  readonly kind: "foreign";
  readonly subject: string;
}

export type LetterEntry = Letter | Foreign;
export type LetterReason = Failure["kind"];

/** Of a list any of its values, or, if it is empty, whatever it is. Texts match exactly, except `error`. */
export interface LetterFilter {
  readonly subscription: readonly string[];
  readonly entrypoint: readonly string[];
  readonly application: readonly string[];
  readonly reason: readonly LetterReason[];
  readonly status: readonly StatusFilter[];
  /** Inclusive. */
  readonly from: Date | null;
  /** Exclusive. */
  readonly to: Date | null;
  /** Parts of the error text, without case. */
  readonly error: readonly string[];
}

export type StatusFilter =
  | { readonly kind: "exact"; readonly status: number }
  /** `hundreds` 4: 400 to 499. */
  | { readonly kind: "class"; readonly hundreds: number };

export const LETTER_REASONS: readonly LetterReason[] = [
  "rejected",
  "server-error",
  "exception",
  "expression",
  "expired",
];
export const EVERY_LETTER: LetterFilter = {
  subscription: [],
  entrypoint: [],
  application: [],
  reason: [],
  status: [],
  from: null,
  to: null,
  error: [],
};

const NANOS_PER_MS = 1_000_000n;
/** How far the clocks of relays and servers may differ. */
const CLOCK_SKEW_MS = 300_000;

/**
 * `subject` of `endpoint`: the prefix of letters' subjects. `isGenuine`: its signature is the cluster's.
 */
export function toEntry(
  stored: StoredLetter,
  endpoint: { name: string; subject: string },
  isGenuine: boolean,
): LetterEntry {
  const letter = toLetter(stored, endpoint);
  if (letter !== null && isGenuine) return letter;
  const { size, storedAtNanos, sequence: position, subject } = stored;
  return {
    kind: "foreign",
    id: toForeignId(stored),
    endpoint: endpoint.name,
    position,
    storedAtNanos,
    size,
    date: toStoredAt(stored),
    subject,
  };
}

function toStoredAt({ storedAtNanos }: StoredLetter): Date {
  return new Date(Number(storedAtNanos / NANOS_PER_MS));
}

/** The letter that its headers describe, whoever wrote it; null: it is not a letter. */
export function toLetter(stored: StoredLetter, endpoint: { name: string; subject: string }): Letter | null {
  const subjectSuffix = stored.subject.slice(endpoint.subject.length + 1);
  const origin = parseLetterSuffix(subjectSuffix);
  const { size, storedAtNanos, sequence: position } = stored;
  if (origin === null) return null;
  const own = toRelayHeaders(stored.headers);
  return {
    kind: "letter",
    id: toLetterId(subjectSuffix),
    endpoint: endpoint.name,
    position,
    storedAtNanos,
    size,
    date: toDate(own.get("dead-lettered-at")) ?? toStoredAt(stored),
    subjectSuffix,
    ...origin,
    subject: own.get("subject") ?? null,
    entrypoint: own.get("entrypoint") ?? null,
    application: own.get("application") ?? null,
    reason: LETTER_REASONS.find((reason) => reason === own.get("reason")) ?? null,
    status: toCount(own.get("status")),
    error: own.get("error") ?? null,
    attempts: toCount(own.get("attempts")),
    replays: toCount(own.get("replays")) ?? 0,
  };
}

/** A foreign entry matches only a filter of time. */
export function meetsFilter(entry: LetterEntry, filter: LetterFilter): boolean {
  const { from, to } = filter;
  if (from !== null && entry.date < from) return false;
  if (to !== null && entry.date >= to) return false;
  if (entry.kind === "foreign") return isOfTimeOnly(filter);
  const isAny = <T>(wanted: readonly T[], isMet: (one: T) => boolean) =>
    wanted.length === 0 || wanted.some(isMet);
  const text = filter.error.length === 0 ? "" : (entry.error ?? "").toLowerCase();
  return (
    isAny(filter.subscription, (one) => entry.subscription === one) &&
    isAny(filter.entrypoint, (one) => entry.entrypoint === one) &&
    isAny(filter.application, (one) => entry.application === one) &&
    isAny(filter.reason, (one) => entry.reason === one) &&
    isAny(filter.status, (one) => isOfStatus(entry.status, one)) &&
    isAny(filter.error, (one) => text.includes(one.toLowerCase()))
  );
}

/** The one subscription whose letters are meant; null: several, or any. */
export function onlySubscription({ subscription }: Pick<LetterFilter, "subscription">): string | null {
  return subscription.length === 1 ? (subscription[0] ?? null) : null;
}

/** Whether nothing stored at or before that time can match: a letter is stored after its date. */
export function isPast(storedAtNanos: bigint, { from }: LetterFilter): boolean {
  return from !== null && Number(storedAtNanos / NANOS_PER_MS) < from.getTime() - CLOCK_SKEW_MS;
}

/** `404`, `4xx`, `0`; null: none of these. */
export function parseStatusFilter(text: string): StatusFilter | null {
  const [, hundreds] = /^([1-9])xx$/i.exec(text) ?? [];
  if (hundreds !== undefined) return { kind: "class", hundreds: Number(hundreds) };
  return /^(?:0|[1-9]\d\d)$/.test(text) ? { kind: "exact", status: Number(text) } : null;
}

function isOfTimeOnly({ from: _from, to: _to, ...others }: LetterFilter): boolean {
  return Object.values(others).every((values) => values.length === 0);
}

function isOfStatus(status: number | null, filter: StatusFilter): boolean {
  if (status === null) return false;
  return filter.kind === "exact" ? status === filter.status : Math.floor(status / 100) === filter.hundreds;
}

/** The `Relay-*` headers, by lower-case name without that prefix; the first of a name counts. */
function toRelayHeaders(headers: readonly Header[]): ReadonlyMap<string, string> {
  const own = new Map<string, string>();
  for (const [name, value] of headers) {
    const lower = name.toLowerCase();
    if (!lower.startsWith(PREFIX)) continue;
    const short = lower.slice(PREFIX.length);
    if (!own.has(short)) own.set(short, value.slice(0, MAX_TEXT_LENGTH));
  }
  return own;
}

const PREFIX = "relay-";
/** Relay writes no longer ones. */
const MAX_TEXT_LENGTH = 1024;

function toCount(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function toDate(text: string | undefined): Date | null {
  const date = new Date(text ?? "");
  return Number.isNaN(date.getTime()) ? null : date;
}
