// A slab: stores short-lived items under numeric keys that are reused once an item is removed.
//
// A Set or a Map outgrows its table again and again, and an old table retains its content until the next full collection.
// On the path of every message that was half of the garbage collector's work.

interface Slab<T> extends Iterable<T> {
  /** Returns the item's key. After `remove`, another item gets it. */
  add: (item: T) => number;
  get: (key: number) => T | undefined;
  remove: (key: number) => void;
  readonly size: number;
}

export function createSlab<T>(): Slab<T> {
  const items: (T | undefined)[] = [];
  const free: number[] = [];

  return {
    add(item) {
      const key = free.pop() ?? items.length;
      items[key] = item;
      return key;
    },
    get: (key) => items[key],
    remove(key) {
      // A key that is freed twice would be given to two items.
      if (items[key] === undefined) throw new Error("The key is free already");
      items[key] = undefined;
      free.push(key);
    },
    get size() {
      return items.length - free.length;
    },
    *[Symbol.iterator]() {
      for (const item of items) if (item !== undefined) yield item;
    },
  };
}
