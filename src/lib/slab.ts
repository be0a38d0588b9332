// A slab: stores short-lived items under numeric keys that are reused once an item is removed.
//
// A Set or a Map outgrows its table again and again, and an old table retains its content until the next full collection.
// On the path of every message that was half of the garbage collector's work.

interface Slab<T> extends Iterable<T> {
  /** Returns its place, which another gets once it is removed. */
  add: (item: T) => number;
  get: (place: number) => T | undefined;
  remove: (place: number) => void;
  readonly size: number;
}

export function createSlab<T>(): Slab<T> {
  const items: (T | undefined)[] = [];
  const free: number[] = [];

  return {
    add(item) {
      const place = free.pop() ?? items.length;
      items[place] = item;
      return place;
    },
    get: (place) => items[place],
    remove(place) {
      // A place that is free twice would be given to two.
      if (items[place] === undefined) throw new Error("The place is free already");
      items[place] = undefined;
      free.push(place);
    },
    get size() {
      return items.length - free.length;
    },
    *[Symbol.iterator]() {
      for (const item of items) if (item !== undefined) yield item;
    },
  };
}
