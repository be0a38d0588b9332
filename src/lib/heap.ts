// A binary heap: the item of the lowest rank first, in logarithmic time.

export interface Heap<T> {
  push: (item: T) => void;
  peek: () => T | undefined;
  pop: () => T | undefined;
  readonly size: number;
}

/** The rank of an item must not change while it is in the heap. */
export function createHeap<T>(rankOf: (item: T) => number): Heap<T> {
  const items: T[] = [];

  function push(item: T): void {
    const rank = rankOf(item);
    let place = items.length;
    items.push(item);
    while (place > 0) {
      const above = (place - 1) >> 1;
      const parent = items[above] as T;
      if (rankOf(parent) <= rank) break;
      items[place] = parent;
      place = above;
    }
    items[place] = item;
  }

  function pop(): T | undefined {
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    sink(last);
    return first;
  }

  /** Puts an item in at the top and moves it down. */
  function sink(item: T): void {
    const rank = rankOf(item);
    let place = 0;
    for (let below = 1; below < items.length; below = 2 * place + 1) {
      const right = items[below + 1];
      if (right !== undefined && rankOf(right) < rankOf(items[below] as T)) below += 1;
      const child = items[below] as T;
      if (rankOf(child) >= rank) break;
      items[place] = child;
      place = below;
    }
    items[place] = item;
  }

  return {
    push,
    peek: () => items[0],
    pop,
    get size() {
      return items.length;
    },
  };
}
