// The functions of the library that make lists and objects, within bounds: some of the library's cost the square of a list.

import { isFunction, MAX_ITEMS, type Meter } from "./meter.ts";
import type { Focus, Native, Override } from "./native.ts";

type List = readonly unknown[];

/** `undefined` in, `undefined` out, as the library does it. */
export const listNatives: Readonly<Record<string, Override>> = {
  max: () =>
    function max(list: List | undefined) {
      return extreme(list, (one, other) => one > other);
    },

  min: () =>
    function min(list: List | undefined) {
      return extreme(list, (one, other) => one < other);
    },

  zip: (original, meter) =>
    function zip(this: Focus, ...lists: unknown[]) {
      const shortest = Math.min(...lists.map((list) => (Array.isArray(list) ? list.length : 0)));
      meter().spend(shortest * lists.length * 2);
      return original.apply(this, lists);
    },

  spread: (_original, meter) =>
    function spread(this: Focus, arg: unknown) {
      if (Array.isArray(arg))
        return sequenceOf(
          this,
          arg.flatMap((item) => spreadOne(item, meter())),
        );
      return isRecord(arg) ? sequenceOf(this, spreadOne(arg, meter())) : arg;
    },

  merge: (original, meter) =>
    function merge(this: Focus, list: List | undefined) {
      for (const item of list ?? []) if (isRecord(item)) meter().spend(5 * Object.keys(item).length);
      return original.call(this, list);
    },

  keys: (_original, meter) =>
    function keys(this: Focus, arg: unknown) {
      const names = new Set<string>();
      collectKeys(arg, names, meter());
      return sequenceOf(this, [...names]);
    },

  sort: (_original, meter) =>
    async function sort(this: Focus, list: List | undefined, comparator: unknown) {
      if (list === undefined || list.length <= 1) return list;
      if (list.length > MAX_ITEMS) throw tooMany();
      return sortBy(list, toComparison(this, { list, comparator, meter: meter() }));
    },

  distinct: (_original, meter) =>
    function distinct(this: Focus, list: unknown) {
      if (!Array.isArray(list) || list.length <= 1) return list;
      const found = new Map<unknown, unknown>();
      for (const item of list) {
        const key = typeof item === "object" ? toKey(item, meter()) : item;
        if (!found.has(key)) found.set(key, item);
      }
      const values = [...found.values()];
      return isSequence(list) ? sequenceOf(this, values) : values;
    },
};

/** Of occurrences, up to so many that even a replacement of one character would be too much. */
function extreme(list: List | undefined, isBetter: (one: number, other: number) => boolean): unknown {
  const numbers = list?.filter((item) => typeof item === "number") ?? [];
  let best = numbers[0];
  for (const item of numbers) if (best === undefined || isBetter(item, best)) best = item;
  return best;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !isFunction(value);
}

function isSequence(list: List): boolean {
  return (list as { sequence?: unknown }).sequence === true;
}

function sequenceOf(focus: Focus, items: List): unknown {
  if (items.length > MAX_ITEMS) throw tooMany();
  const sequence = focus.createSequence();
  for (const item of items) sequence.push(item);
  return sequence;
}

export function tooMany(): Error {
  return new Error(`a list has ${MAX_ITEMS} entries at most`);
}

function spreadOne(item: unknown, meter: Meter): List {
  if (Array.isArray(item)) return item.flatMap((inner) => spreadOne(inner, meter));
  if (!isRecord(item)) return [item];
  const entries = Object.entries(item);
  meter.spend(10 * entries.length);
  return entries.map(([key, value]) => {
    const one: Record<string, unknown> = Object.create(null);
    one[key] = value;
    return one;
  });
}

function collectKeys(value: unknown, names: Set<string>, meter: Meter): void {
  if (Array.isArray(value)) {
    for (const item of value) collectKeys(item, names, meter);
  } else if (isRecord(value)) {
    const own = Object.keys(value);
    meter.spend(5 * own.length);
    for (const name of own) names.add(name);
  }
}

/** Equal values have equal texts: keys in order. */
function toKey(value: unknown, meter: Meter): string {
  meter.spend(5 * meter.weigh(value));
  return JSON.stringify(value, (_key, inner: unknown) =>
    isRecord(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}

type Comparison = (one: unknown, other: unknown) => Promise<boolean> | boolean;

function toComparison(
  focus: Focus,
  { list, comparator, meter }: { list: List; comparator: unknown; meter: Meter },
): Comparison {
  if (typeof comparator === "function") {
    return async (one, other) => Boolean(await (comparator as Native).call(focus, one, other));
  }
  const isOfNumbers = list.every((item) => typeof item === "number");
  if (!isOfNumbers && !list.every((item) => typeof item === "string")) {
    throw new Error("$sort takes numbers or texts, or a function that compares");
  }
  return (one, other) => {
    meter.spend(10);
    return (one as string) > (other as string);
  };
}

/** Stable; `isAfter`: the first belongs behind the second. */
async function sortBy(list: List, isAfter: Comparison): Promise<unknown[]> {
  let from = [...list];
  for (let width = 1; width < from.length; width *= 2) {
    const to: unknown[] = [];
    for (let start = 0; start < from.length; start += 2 * width) {
      const left = from.slice(start, start + width);
      const right = from.slice(start + width, start + 2 * width);
      await merge(left, right, { isAfter, to });
    }
    from = to;
  }
  return from;
}

async function merge(
  left: List,
  right: List,
  { isAfter, to }: { isAfter: Comparison; to: unknown[] },
): Promise<void> {
  let one = 0;
  let other = 0;
  while (one < left.length && other < right.length) {
    const result = isAfter(left[one], right[other]);
    const isLater = typeof result === "boolean" ? result : await result;
    to.push(isLater ? right[other++] : left[one++]);
  }
  to.push(...left.slice(one), ...right.slice(other));
}
