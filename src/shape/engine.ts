// Runs JSONata within bounds, one evaluation at a time: bounded functions, a linear regular-expression engine, a meter.

import jsonata from "jsonata";
import { createLimiter } from "#lib/limiter.ts";
import { placeOf, toErrorText } from "./error-text.ts";
import {
  type CpuClock,
  createMeter,
  isFunction,
  type Meter,
  MAX_ITEMS,
  BoundError,
  threadCpuMs,
} from "./meter.ts";
import type { Focus, Native } from "./native.ts";
import { bound, type Definition, NATIVE_NAMES } from "./natives.ts";
import { boundedFromMillis } from "./picture-natives.ts";
import { createRegexEngine, type Patterns } from "./regex.ts";
import { BEFORE_SORT, CHECK_MATCHES, CHECK_UPDATE, WILDCARD } from "./syntax.ts";

export type Evaluation =
  | { readonly kind: "value"; readonly value: unknown }
  /** `isBound`: it took more than it may, twice. */
  | { readonly kind: "failed"; readonly error: string; readonly isBound: boolean }
  /** The signal aborted while it waited for its turn. */
  | { readonly kind: "aborted" };

export interface Engine {
  /** Throws what the library throws where the text has a fault. */
  readonly parse: (text: string) => jsonata.Expression;
  /** Never rejects. What takes more than it may is tried once more: the host may have had a slow moment. */
  readonly evaluate: (expression: jsonata.Expression, options: EvaluateOptions) => Promise<Evaluation>;
  readonly patterns: Patterns;
}

interface EvaluateOptions {
  /** Makes what the expression sees, and may change. */
  readonly toInput: () => object;
  readonly signal: AbortSignal;
}

const ENTRY = Symbol.for("jsonata.__evaluate_entry");
const EXIT = Symbol.for("jsonata.__evaluate_exit");

interface Node {
  readonly type: string;
  readonly [BEFORE_SORT]?: true;
}

interface Scope {
  readonly lookup: (name: string) => unknown;
}

interface Assignable {
  readonly assign: (name: string | symbol, value: unknown) => void;
}

/** Nodes that pass on a value which is there already. */
const PASSING: ReadonlySet<string> = new Set([
  "name",
  "variable",
  "value",
  "string",
  "number",
  "condition",
  "parent",
]);

let shared: Engine | null = null;

/** The engine of the process: its bounds replace functions of the library, which all expressions share. */
export function sharedEngine(): Engine {
  shared ??= createEngine(threadCpuMs);
  return shared;
}

function createEngine(clock: CpuClock): Engine {
  const turn = createLimiter(1);
  const patterns: Patterns = new WeakMap();
  const evaluations = new WeakMap<jsonata.Expression, number>();
  let active: Meter = createMeter(clock, 0);
  const meter = () => active;
  const RegexEngine = createRegexEngine(patterns, meter) as unknown as RegExpConstructor;
  const enter = () => active.enter();
  const leave = (node: Node, _input: unknown, _environment: unknown, result: unknown) => {
    active.leave();
    if (typeof result === "string") active.expect(result.length);
    else if (typeof result === "object" && result !== null) checkResult(node, result);
  };
  const scope = findScope();
  const own = ownFunctions(scope, meter);
  for (const name of NATIVE_NAMES) bound(scope.lookup(name) as Definition, name, meter);

  function checkResult(node: Node, result: object): void {
    if (node[BEFORE_SORT] === true && Array.isArray(result) && result.length > MAX_ITEMS) {
      throw new BoundError(`a list to sort has more than ${MAX_ITEMS} entries`);
    }
    if (!PASSING.has(node.type)) active.weigh(result);
  }

  function parse(text: string): jsonata.Expression {
    const expression = jsonata(text, { RegexEngine, sequence: MAX_ITEMS });
    const { assign } = expression as unknown as Assignable;
    assign(ENTRY, enter);
    assign(EXIT, leave);
    for (const [name, definition] of own) assign(name, definition);
    return expression;
  }

  async function evaluateOnce(expression: jsonata.Expression, input: object): Promise<unknown> {
    const count = evaluations.get(expression) ?? 0;
    evaluations.set(expression, count + 1);
    active = createMeter(clock, count);
    const hung = Promise.withResolvers<never>();
    // An evaluation waits for nothing but itself: when other work gets its turn, it has ended or never will.
    const check = setImmediate(() => hung.reject(new BoundError("it never ends")));
    try {
      return await Promise.race([expression.evaluate(input), hung.promise]);
    } catch (error) {
      // Its other branches still run: they end at their next step.
      active.end();
      await new Promise((resolve) => setImmediate(resolve));
      throw error;
    } finally {
      clearImmediate(check);
    }
  }

  async function evaluate(
    expression: jsonata.Expression,
    { toInput, signal }: EvaluateOptions,
  ): Promise<Evaluation> {
    if (!turn.tryAcquire() && !(await turn.acquire(signal))) return { kind: "aborted" };
    try {
      const first = await tryOnce(expression, toInput());
      return first.kind === "failed" && first.isBound ? await tryOnce(expression, toInput()) : first;
    } finally {
      turn.release();
    }
  }

  async function tryOnce(expression: jsonata.Expression, input: object): Promise<Evaluation> {
    try {
      return { kind: "value", value: await evaluateOnce(expression, input) };
    } catch (error) {
      const position = placeOf(error);
      const place = position === null ? "" : ` (at character ${position})`;
      return { kind: "failed", error: toErrorText(error) + place, isBound: isBound(error) };
    }
  }

  return { parse, evaluate, patterns };
}

/** Where the library's functions can be looked up: it tells its hooks, and only them. */
function findScope(): Scope {
  let found: Scope | null = null;
  const probe = jsonata("null");
  (probe as unknown as Assignable).assign(ENTRY, (_node: unknown, _input: unknown, environment: Scope) => {
    found = environment;
  });
  void probe.evaluate(null); // Calls the hook before it returns.
  if (found === null) throw new Error("The JSONata library does not call its hooks");
  return found;
}

/** Functions that each expression has of its own, and those that nodes were replaced with. */
function ownFunctions(scope: Scope, meter: () => Meter): readonly (readonly [string, unknown])[] {
  const { implementation } = scope.lookup("fromMillis") as Definition;
  const fromMillis = boundedFromMillis(implementation);
  const signature = (scope.lookup("now") as { signature: unknown }).signature;
  const define = (native: Native, more: object = {}) =>
    Object.defineProperty({ _jsonata_function: true, ...more }, "implementation", { value: native });
  return [
    [
      "now",
      define(
        function now(this: Focus, picture: unknown, timezone: unknown) {
          meter().spend(100);
          return fromMillis.call(this, this.environment.timestamp.getTime(), picture, timezone);
        },
        { signature },
      ),
    ],
    [WILDCARD, define(wildcard)],
    [CHECK_MATCHES, define(checkMatches)],
    [
      CHECK_UPDATE,
      define(function checkUpdate(update: unknown) {
        // A part of the value in itself would make it endless.
        const copy = copyOf(update, meter());
        meter().forget();
        return copy;
      }),
    ],
  ];
}

function wildcard(this: Focus): unknown {
  const { input } = this;
  const [first] = Array.isArray(input) && "outerWrapper" in input ? (input as unknown[]) : [input];
  const results = this.createSequence();
  if (typeof first !== "object" || first === null || isFunction(first)) return results;
  for (const value of Object.values(first)) {
    if (Array.isArray(value)) for (const item of value.flat(Infinity) as unknown[]) results.push(item);
    else results.push(value);
  }
  return results;
}

/** Only plain values may be changed, neither functions nor what they hold. */
function checkMatches(matches: unknown): unknown {
  for (const match of Array.isArray(matches) ? (matches as unknown[]) : [matches]) {
    if (isFunction(match)) throw new Error("a function cannot be changed");
  }
  return matches;
}

function copyOf(value: unknown, meter: Meter): unknown {
  if (typeof value !== "object" || value === null) return value;
  meter.spend(5 * meter.weigh(value));
  return JSON.parse(JSON.stringify(value, (_key, inner: unknown) => (isFunction(inner) ? undefined : inner)));
}

function isBound(error: unknown): boolean {
  return error instanceof BoundError || error instanceof RangeError;
}
