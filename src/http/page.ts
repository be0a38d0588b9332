// Cuts a list into pages, sorted by a key. `?cursor` is the key of the last item of the page before.

type Page<T> =
  | {
      readonly kind: "page";
      readonly items: readonly T[];
      /** For the page after it; null: this is the last one. */
      readonly next: string | null;
    }
  | { readonly kind: "invalid"; readonly detail: string };

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

export function pageOf<T>(
  list: readonly T[],
  { keyOf, query }: { keyOf: (item: T) => string; query: Readonly<Record<string, string>> },
): Page<T> {
  const { limit: limitText, cursor, ...unknown } = query;
  const [name] = Object.keys(unknown);
  if (name !== undefined) {
    return { kind: "invalid", detail: `${JSON.stringify(name)} is not known, but limit and cursor are` };
  }
  const limit = Number(limitText ?? DEFAULT_LIMIT);
  if (!/^\d+$/u.test(limitText ?? "0") || limit < 1 || limit > MAX_LIMIT) {
    return { kind: "invalid", detail: `limit takes a whole number from 1 to ${MAX_LIMIT}` };
  }
  const sorted = list.toSorted((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1));
  const rest = cursor === undefined ? sorted : sorted.filter((item) => keyOf(item) > cursor);
  const items = rest.slice(0, limit);
  const last = items.at(-1);
  return { kind: "page", items, next: rest.length > limit && last !== undefined ? keyOf(last) : null };
}
