// Places, and what becomes of those who leave them.

import { edenGC, fullGC, heapStats } from "bun:jsc";
import { expect, test } from "bun:test";

import { createSlab } from "#lib/slab.ts";

test("createSlab() keeps each item under its key, and reuses a free key", () => {
  const slab = createSlab<string>();
  const [a, b, c] = [slab.add("a"), slab.add("b"), slab.add("c")];
  slab.remove(b);
  expect([slab.get(a), slab.get(b), slab.get(c)]).toEqual(["a", undefined, "c"]);
  expect([...slab]).toEqual(["a", "c"]);
  expect(slab.add("d")).toBe(b);
  expect(slab.size).toBe(3);
  expect([...slab].toSorted()).toEqual(["a", "c", "d"]);
});

test("createSlab() skips items that are removed during an iteration", () => {
  const slab = createSlab<string>();
  const [, b] = [slab.add("a"), slab.add("b"), slab.add("c")];
  const seen: string[] = [];
  for (const item of slab) {
    seen.push(item);
    if (item === "a") slab.remove(b);
  }
  expect(seen).toEqual(["a", "c"]);
});

class Passing {
  readonly payload = new ArrayBuffer(8);
}

/** How many of `count` that went through the slab a quick collection leaves; 10 are in it at a time. */
function leftOf(count: number): number {
  const slab = createSlab<Passing>();
  const keys: number[] = [];
  const pass = (times: number) => {
    for (let i = 0; i < times; i += 1) {
      keys.push(slab.add(new Passing()));
      if (keys.length > 10) slab.remove(keys.shift() ?? 0);
    }
  };
  pass(100);
  fullGC();
  pass(count);
  edenGC();
  const after = heapStats().objectTypeCounts["ArrayBuffer"] ?? 0;
  fullGC();
  const live = heapStats().objectTypeCounts["ArrayBuffer"] ?? 0;
  expect(slab.size).toBe(10);
  return after - live;
}

test("createSlab() frees removed items without a full collection", () => {
  expect(leftOf(5000)).toBeLessThan(100);
});

test("remove() throws for a key that is free: two items would get it", () => {
  const slab = createSlab<string>();
  const place = slab.add("a");
  slab.remove(place);
  expect(() => slab.remove(place)).toThrow("free already");
});
