// Every way that two relays, their consumer and its faults can take, with the window that the relay itself runs: no first
// request out of order, nothing that never comes. Without one of the rules the inversion is found.

import { describe, expect, test } from "bun:test";

import { type Breach, createModel, type ModelOptions, type World } from "./window-model.ts";

const TAKE_OVER: ModelOptions = {
  keys: "aaaaaa",
  maxAckPending: 2,
  places: 1,
  breach: "none",
  takeovers: 1,
  freezes: 0,
  kills: 0,
  crashes: 0,
  failures: 0,
  lateAcks: 0,
  lateCounts: 0,
  deposedCounts: 0,
};
const MAX_STATES = 100_000;

interface Explored {
  readonly states: number;
  /** How the first message came out of order; null: none did. */
  readonly inversion: readonly string[] | null;
  /** States from which not all messages are ever delivered. */
  readonly stuck: number;
}

/** How to come to a state. */
interface Place {
  readonly world: World;
  readonly before: Place | null;
  readonly step: string;
}

/** All states, the nearest first. */
function explore(options: ModelOptions): Explored {
  const { start, steps, look, isDone } = createModel(options);
  const numbers = new Map([[look(start), 0]]);
  const formers: number[][] = [[]];
  const ends: number[] = [];
  const places: Place[] = [{ world: start, before: null, step: "" }];
  for (let from = 0; from < places.length; from += 1) {
    const before = places[from] as Place;
    if (isDone(before.world)) ends.push(from);
    else
      for (const { name, world } of steps(before.world)) {
        const place = { world, before, step: name };
        if (world.inversion !== null) return { states: from, inversion: tell(place), stuck: 0 };
        const looks = look(world);
        const known = numbers.get(looks);
        if (known !== undefined) formers[known]?.push(from);
        else {
          numbers.set(looks, places.length);
          formers.push([from]);
          places.push(place);
        }
      }
    if (places.length > MAX_STATES) throw new Error("There are too many states");
  }
  return { states: places.length, inversion: null, stuck: places.length - countLeadingTo(ends, formers) };
}

function tell({ world, before, step }: Place): readonly string[] {
  return before === null
    ? []
    : [...tell(before), step, ...(world.inversion === null ? [] : [world.inversion])];
}

function countLeadingTo(ends: readonly number[], before: readonly number[][]): number {
  const seen = new Set(ends);
  const open = [...ends];
  for (let state = open.pop(); state !== undefined; state = open.pop())
    for (const former of before[state] ?? []) {
      if (seen.has(former)) continue;
      seen.add(former);
      open.push(former);
    }
  return seen.size;
}

const CASES: readonly (readonly [string, Partial<ModelOptions>])[] = [
  ["six of two keys, and one is retried", { keys: "aabaab", places: 2, failures: 1 }],
  ["six in strict order, and a relay is killed", { kills: 1 }],
  ["six in strict order, and the server counts late", { lateCounts: 1 }],
  ["a relay is frozen", { keys: "aaa", freezes: 1 }],
  ["two take-overs", { keys: "aaa", takeovers: 2 }],
  ["both believe that they have the lease", { keys: "aaa", deposedCounts: 2 }],
  ["acknowledgements come late", { keys: "aaba", places: 2, lateAcks: 1 }],
  ["the server forgets", { keys: "aaa", crashes: 1 }],
];

describe("two relays and a consumer send nothing first out of order, and all messages at last", () => {
  test.each(CASES)("%s", (_, options) => {
    const { states, inversion, stuck } = explore({ ...TAKE_OVER, ...options });
    expect({ inversion, stuck }).toEqual({ inversion: null, stuck: 0 });
    expect(states).toBeGreaterThan(500);
  });
});

describe("without one of the rules an inversion is found", () => {
  const breaches: readonly (readonly [Breach, Partial<ModelOptions>])[] = [
    ["no gathering", {}],
    ["no gaps", {}],
    ["no asking back", { keys: "aaba", maxAckPending: 3, places: 2 }],
  ];
  test.each(breaches)("%s", (breach, options) => {
    const { inversion } = explore({ ...TAKE_OVER, ...options, breach });
    expect(inversion?.at(-1)).toMatch(/^\d after \d$/);
  });
});
