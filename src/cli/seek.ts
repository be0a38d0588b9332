// Parses the options of `relay subscriptions seek` to a position in the stream.

import { RelayError } from "#lib/errors.ts";
import type { SeekBody } from "#wire/subscription.ts";
import type { Flags } from "./remote-command.ts";

type Place = Extract<SeekBody, { to: unknown }>["to"];

const PLACES: Readonly<Record<Place, string>> = {
  all: "from the first message that the stream has",
  new: "with what comes from now on",
  last: "from the last message",
};
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/u;

/** Throws a RelayError `usage`. */
export function checkSeek(flags: Flags): void {
  toSeek(flags);
}

export function toSeek({ to, sequence, time }: Flags): SeekBody {
  const given = [to, sequence, time].filter((value) => value !== undefined);
  if (given.length !== 1) throw new RelayError("usage", "seek takes one of --to, --sequence and --time");
  if (typeof to === "string") return { to: toPlace(to) };
  if (typeof sequence === "string") return { sequence: toSequence(sequence) };
  return { time: toTime(String(time)) };
}

export function describeSeek({ to, sequence, time }: Flags): string {
  if (typeof to === "string") return PLACES[toPlace(to)];
  return typeof sequence === "string"
    ? `at sequence ${sequence}`
    : `at what was stored from ${String(time)} on`;
}

function toPlace(text: string): Place {
  if (isPlace(text)) return text;
  throw new RelayError("usage", `--to takes all, new or last, found "${text}"`);
}

function isPlace(text: string): text is Place {
  return Object.hasOwn(PLACES, text);
}

function toSequence(text: string): number {
  const sequence = Number(text);
  if (/^\d+$/u.test(text) && Number.isSafeInteger(sequence) && sequence >= 1) return sequence;
  throw new RelayError("usage", `--sequence takes a whole number from 1, found "${text}"`);
}

/** As the API takes it: in UTC. */
function toTime(text: string): string {
  const date = new Date(text);
  if (RFC_3339.test(text) && !Number.isNaN(date.getTime())) return date.toISOString();
  throw new RelayError("usage", `--time takes a time such as 2026-11-21T08:00:00Z, found "${text}"`);
}
