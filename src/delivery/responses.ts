// What the statuses of a callback mean, where `responses` says so: the most specific entry counts.

export const MEANINGS = ["delivered", "rejected", "retry", "server-error", "stop"] as const;
type Meaning = (typeof MEANINGS)[number];

/** A status, a range of them, or a class. */
export const RESPONSE_KEY = /^(?:[1-9]\d\d(?:-[1-9]\d\d)?|[1-9]xx)$/u;

interface Span {
  readonly from: number;
  readonly to: number;
  /** A status beats a range, a range beats a class. */
  readonly rank: number;
}

/** The most specific first. */
export type Responses = readonly (Span & { readonly meaning: Meaning })[];

/** Null: it is none, or ends before it begins. */
export function parseResponseKey(key: string): Span | null {
  if (!RESPONSE_KEY.test(key)) return null;
  if (key.endsWith("xx")) return { from: Number(key[0]) * 100, to: Number(key[0]) * 100 + 99, rank: 2 };
  const [from = 0, to = from] = key.split("-").map(Number);
  return from <= to ? { from, to, rank: key.includes("-") ? 1 : 0 } : null;
}

/** Whether nothing says which of two ranges counts: they overlap, and neither lies within the other. */
export function isAmbiguous(one: Span, other: Span): boolean {
  if (one.rank !== 1 || other.rank !== 1) return false;
  const isApart = one.to < other.from || other.to < one.from;
  return !isApart && !isInside(one, other) && !isInside(other, one);
}

function isInside(inner: Span, outer: Span): boolean {
  return outer.from <= inner.from && inner.to <= outer.to;
}

export function toResponses(entries: Readonly<Record<string, Meaning>>): Responses {
  return Object.entries(entries)
    .flatMap(([key, meaning]) => {
      const span = parseResponseKey(key);
      return span === null ? [] : [{ ...span, meaning }];
    })
    .toSorted((one, other) => one.rank - other.rank || one.to - one.from - (other.to - other.from));
}

export function meaningOf(status: number, responses: Responses): Meaning | null {
  return responses.find(({ from, to }) => from <= status && status <= to)?.meaning ?? null;
}
