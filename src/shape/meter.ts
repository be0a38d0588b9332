// Bounds one evaluation of an expression: steps, depth, size of the values made, native work, and CPU time.

/** An evaluation took more than it may. A slow moment of the host can cause it: it is tried once more. */
export class BoundError extends Error {
  override readonly name = "BoundError";
}

export interface Meter {
  /** One more node of the expression, one level deeper. */
  enter: () => void;
  leave: () => void;
  /** Before native work of about `units` times 10 ns, which nothing can interrupt. */
  spend: (units: number) => void;
  /** Of a text or list that is about to be made. */
  expect: (length: number) => void;
  /** Refuses a value that is too large or too deep when it is written out, shared parts counted each time. */
  weigh: (value: unknown) => number;
  /** Weighs all values anew: some were changed in place. */
  forget: () => void;
  /** From now on every step fails: ends what still runs of the evaluation. */
  end: () => void;
}

const MAX_STEPS = 50_000;
/** Parts of a list or object are evaluated side by side, so a long one counts as a deep one. */
const MAX_DEPTH = 2000;
const MAX_UNITS = 1_000_000;
/** Of CPU time; the code of an expression is slow until it has run some times. */
const MAX_CPU_MS = 10;
const MAX_COLD_MS = 50;
const COLD_EVALUATIONS = 5;
const STEPS_BETWEEN_CHECKS = 16;
const UNITS_BETWEEN_CHECKS = 10_000;
const NODES_BETWEEN_CHECKS = 1024;

/** Of a value that an expression makes: about the length of its JSON. */
const MAX_SIZE = 4 * 1024 * 1024;
export const MAX_TEXT = 1024 * 1024;
export const MAX_ITEMS = 10_000;
export const MAX_NESTING = 100;

/** CPU time of this thread in milliseconds: on a slow or busy host the wall clock says nothing about the message. */
export type CpuClock = () => number;

export const threadCpuMs: CpuClock = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

/** `evaluations`: how many times the expression was evaluated before. */
export function createMeter(clock: CpuClock, evaluations: number): Meter {
  const startMs = clock();
  const limitMs = evaluations < COLD_EVALUATIONS ? MAX_COLD_MS : MAX_CPU_MS;
  let weights = new WeakMap<object, number>();
  let steps = 0;
  let depth = 0;
  let units = 0;
  let unchecked = 0;
  let hasEnded = false;

  function checkTime(): void {
    unchecked = 0;
    if (clock() - startMs > limitMs) exceed(`it took more than ${limitMs} ms of CPU time`);
  }

  function exceed(what: string): never {
    hasEnded = true;
    throw new BoundError(what);
  }

  function weighInside(value: unknown, level: number): number {
    if (typeof value === "string") return value.length + 2;
    if (typeof value !== "object" || value === null) return 5;
    const known = weights.get(value);
    if (known !== undefined) return known;
    if (level > MAX_NESTING) exceed(`a value is nested deeper than ${MAX_NESTING} levels`);
    if (isFunction(value)) return 5;
    unchecked += 1;
    if (unchecked > NODES_BETWEEN_CHECKS) checkTime();
    let weight = 2;
    if (Array.isArray(value)) {
      for (const item of value) weight += 1 + weighInside(item, level + 1);
    } else {
      for (const [key, item] of Object.entries(value))
        weight += key.length + 4 + weighInside(item, level + 1);
    }
    if (weight > MAX_SIZE) exceed(`a value is larger than ${MAX_SIZE} bytes`);
    weights.set(value, weight);
    return weight;
  }

  return {
    enter() {
      if (hasEnded) throw new BoundError("the evaluation has ended");
      steps += 1;
      depth += 1;
      if (steps > MAX_STEPS) exceed(`it took more than ${MAX_STEPS} steps`);
      if (depth > MAX_DEPTH) exceed(`it went deeper than ${MAX_DEPTH} levels`);
      if (steps % STEPS_BETWEEN_CHECKS === 0) checkTime();
    },
    leave() {
      depth -= 1;
    },
    spend(more) {
      if (hasEnded) throw new BoundError("the evaluation has ended");
      units += more;
      unchecked += more / (UNITS_BETWEEN_CHECKS / NODES_BETWEEN_CHECKS);
      if (units > MAX_UNITS) exceed("its functions have too much to do: the texts or lists are too long");
      if (unchecked > NODES_BETWEEN_CHECKS) checkTime();
    },
    expect(length) {
      if (length > MAX_TEXT) exceed(`a text is longer than ${MAX_TEXT} characters`);
    },
    weigh(value) {
      if (typeof value === "string" && value.length > MAX_TEXT) {
        exceed(`a text is longer than ${MAX_TEXT} characters`);
      }
      return weighInside(value, 0);
    },
    forget() {
      weights = new WeakMap();
    },
    end() {
      hasEnded = true;
    },
  };
}

/** Those of the language, and of the library. */
export function isFunction(value: unknown): boolean {
  if (typeof value === "function") return true;
  if (typeof value !== "object" || value === null) return false;
  return FLAGS.some((flag) => Reflect.get(value, flag) === true);
}

/** How the library marks functions; an expression cannot make keys of these names, a message can. */
const FLAGS = ["_jsonata_lambda", "_jsonata_function"] as const;
