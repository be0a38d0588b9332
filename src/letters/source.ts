// Reads the entries of one location, newest first, in windows of sequences that grow while little is found.

import { type LetterEntry, toEntry } from "#delivery/letter.ts";
import type { StreamConfig } from "#nats/answers.ts";
import { API_ERRORS } from "#nats/api.ts";
import type { Connection } from "#nats/connection.ts";
import { isAtLocation, type LetterLocation } from "./locations.ts";
import type { LetterSigner } from "./signer.ts";
import { readWindow } from "./window.ts";
import { requestStreamInfo } from "#nats/stream.ts";

export interface LetterSource {
  readonly location: LetterLocation;
  /** Entries read and not taken yet, newest first. */
  readonly peek: () => LetterEntry | null;
  readonly take: () => void;
  /** True: no older entry is left. */
  readonly isAtEnd: () => boolean;
  /** Reads the next window if the last one is used up; it may be empty. Resolves with null, or with the fault. */
  readonly fill: () => Promise<string | null>;
  /** The lowest sequence that was taken, or skipped as no entry. */
  readonly position: () => number;
}

interface SourceOptions {
  /** Exclusive; null: begin with the newest. */
  readonly before: number | null;
  /** null: the letters of all subscriptions. */
  readonly subscription: string | null;
  /** The expected number of entries: sets the size of the first window. */
  readonly wanted: number;
  readonly signer: LetterSigner;
  readonly signal: AbortSignal;
}

type OpenedSource =
  | { readonly kind: "open"; readonly source: LetterSource }
  /** There is no such stream. */
  | { readonly kind: "missing" }
  | { readonly kind: "unavailable"; readonly reason: string };

const MAX_ENTRIES = 2000;
const MIN_SPAN = 50;
const MAX_SPAN = 50_000;

export async function openSource(
  connection: Connection,
  location: LetterLocation,
  options: SourceOptions,
): Promise<OpenedSource> {
  const answer = await requestStreamInfo(connection, location, { signal: options.signal });
  if (answer.kind === "refused" && answer.code === API_ERRORS.streamNotFound) return { kind: "missing" };
  if (answer.kind !== "ok") return { kind: "unavailable", reason: answer.reason };
  const { config, state } = answer.value;
  if (config.retention !== "limits") {
    return {
      kind: "unavailable",
      reason: `it cannot be read without a trace (retention ${config.retention})`,
    };
  }
  const filter = toFilter(config, location, options.subscription);
  const newest = state.last_seq + 1;
  return {
    kind: "open",
    source: createSource(connection, {
      location,
      filter,
      first: state.messages === 0 ? newest : Math.max(1, state.first_seq),
      before: Math.min(options.before ?? newest, newest),
      above: options.before === null ? 0 : null,
      wanted: options.wanted,
      signer: options.signer,
      signal: options.signal,
    }),
  };
}

/** null: the whole stream is wanted, so no filter is needed. */
function toFilter(
  { subjects }: StreamConfig,
  { subject }: LetterLocation,
  subscription: string | null,
): string | null {
  if (subscription !== null) return `${subject}.${subscription}.>`;
  return subjects.length === 1 && subjects[0] === `${subject}.>` ? null : `${subject}.>`;
}

function createSource(
  connection: Connection,
  {
    location,
    filter,
    first,
    before: start,
    above: aboveStart,
    wanted,
    signer,
    signal,
  }: {
    location: LetterLocation;
    filter: string | null;
    first: number;
    before: number;
    above: number | null;
    wanted: number;
    signer: LetterSigner;
    signal: AbortSignal;
  },
): LetterSource {
  let before = start;
  let span = Math.min(Math.max(wanted, MIN_SPAN), MAX_ENTRIES);
  let above = aboveStart;
  let position = start;
  let buffer: readonly LetterEntry[] = [];
  let taken = 0;

  async function fill(): Promise<string | null> {
    if (taken < buffer.length) return null;
    while (before > first) {
      const from = Math.max(first, before - span);
      const request = { from, before, filter, above, most: MAX_ENTRIES, signal };
      const window = await readWindow(connection, location, request);
      if (window.kind === "missing") return "the stream is gone";
      if (window.kind === "unavailable") return window.reason;
      if (window.kind === "too-many" && span > MIN_SPAN) {
        span = Math.max(MIN_SPAN, Math.floor((span * MAX_ENTRIES) / (2 * window.count)));
        continue;
      }
      if (window.kind === "too-many") {
        // The count is outdated: a window this small cannot contain more entries than it has sequences.
        above = null;
        continue;
      }
      const { letters } = window;
      ({ above } = window);
      before = from;
      // The server sends the oldest first.
      buffer = letters
        .filter(({ subject }) => isAtLocation(location, subject))
        .map((letter) => toEntry(letter, location, signer.isGenuine(letter, null)))
        .toReversed();
      taken = 0;
      span = nextSpan(span, letters.length);
      if (buffer.length === 0) position = before;
      return null;
    }
    return null;
  }

  return {
    location,
    peek: () => buffer[taken] ?? null,
    take() {
      position = buffer[taken]?.position ?? position;
      taken += 1;
      if (taken >= buffer.length) position = before;
    },
    isAtEnd: () => taken >= buffer.length && before <= first,
    fill,
    position: () => position,
  };
}

function nextSpan(span: number, found: number): number {
  const factor = found < span / 4 ? 4 : 2;
  const most = found > span / 2 ? MAX_ENTRIES : MAX_SPAN;
  return Math.max(span, Math.min(span * factor, most));
}
