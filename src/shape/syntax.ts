// Checks the tree of an expression, and replaces the nodes that would escape the bounds.

import { toErrorText } from "./error-text.ts";
import { NATIVE_NAMES } from "./natives.ts";
import { compilePattern, type Patterns } from "./regex.ts";

/** What an expression sees. */
const INPUT_NAMES = [
  "body",
  "text",
  "headers",
  "subject",
  "tokens",
  "stream",
  "sequence",
  "time",
  "id",
  "attempt",
  "subscription",
  "application",
  "metadata",
] as const;

/** Names with a blank: no expression can write them. */
export const WILDCARD = "relay wildcard";
export const CHECK_MATCHES = "relay checkMatches";
export const CHECK_UPDATE = "relay checkUpdate";
/** On the node whose result is sorted. */
export const BEFORE_SORT = Symbol("before sort");

export interface ExpressionError {
  readonly message: string;
  /** In the expression, from 1; null: unknown. */
  readonly position: number | null;
}

/** A node, of whatever type. */
interface Node {
  type?: string;
  value?: unknown;
  position?: number;
  steps?: Node[];
  [BEFORE_SORT]?: true;
  [key: string]: unknown;
}

const MAX_ENTRIES = 256;
const MAX_PATTERNS = 1000;
/** The library matches a signature with an engine that backtracks. */
const SIGNATURE = /^[^+]{0,40}\+?[^+]{0,40}$/u;
const KNOWN: ReadonlySet<unknown> = new Set([...NATIVE_NAMES, "now", "millis", "", "$"]);
const INPUTS: ReadonlySet<unknown> = new Set(INPUT_NAMES);

/** Changes `tree` in place. `patterns` gets its regular expressions. */
export function prepareTree(tree: unknown, patterns: Patterns): readonly ExpressionError[] {
  const faults: ExpressionError[] = [];
  const defined = new Set<unknown>();
  const used: Node[] = [];
  let patternLength = 0;

  function fault(node: Node, message: string): void {
    faults.push({ message, position: node.position ?? null });
  }

  /** `isRoot`: it is evaluated on the whole input, so that its names are those of the input. */
  function walk(value: unknown, isRoot: boolean): void {
    if (Array.isArray(value)) {
      for (const item of value) walk(item, isRoot);
      return;
    }
    if (!isNode(value)) return;
    const isRootInside = isRoot && value.type !== "transform" && value.type !== "sort";
    check(value, isRoot);
    for (const [key, inner] of Object.entries(value)) {
      if (key === "steps") walkSteps(value, isRoot);
      else if (INNER.has(key)) walk(inner, false);
      else if (!SKIPPED.has(key)) walk(inner, isRootInside);
    }
    replace(value);
  }

  function walkSteps({ steps = [] }: Node, isRoot: boolean): void {
    for (const [at, step] of steps.entries()) walk(step, isRoot && at === 0);
  }

  function check(node: Node, isRoot: boolean): void {
    for (const name of [node["focus"], node["index"]]) if (typeof name === "string") defined.add(name);
    if (node.type === "path") checkPath(node, isRoot);
    else if (node.type === "bind") defined.add((node["lhs"] as Node).value);
    else if (node.type === "lambda") checkLambda(node);
    else if (node.type === "variable") used.push(node);
    else if (node.type === "regex") checkRegex(node);
    else if (Array.isArray(node["expressions"]) && node["expressions"].length > MAX_ENTRIES) {
      fault(node, `a list has ${MAX_ENTRIES} entries at most`);
    }
  }

  function checkPath(node: Node, isRoot: boolean): void {
    const { steps = [] } = node;
    const [first] = steps;
    if (isRoot && first?.type === "name" && !INPUTS.has(first.value)) {
      const name = String(first.value).slice(0, 40);
      const advice = (NATIVE_NAMES as readonly string[]).includes(name)
        ? `write $${name}`
        : `write body.${name}`;
      fault(first, `"${name}" is none of ${INPUT_NAMES.join(", ")}: ${advice} if you mean that`);
    }
    // The library joins the parts of a group one by one: each costs as much as all before.
    if ("group" in node && steps.some((step) => step["tuple"] === true)) {
      fault(node, "a path with @, # or % cannot be grouped by {…}");
    }
    for (const [at, step] of steps.entries()) {
      const before = steps[at - 1];
      if (step.type === "sort" && before !== undefined) before[BEFORE_SORT] = true;
    }
  }

  function checkLambda(node: Node): void {
    for (const { value } of node["arguments"] as Node[]) defined.add(value);
    const definition = (node["signature"] as { definition?: unknown } | undefined)?.definition;
    if (typeof definition !== "string") return;
    const optional = definition.split(/[?-]/u).length - 1;
    if (!SIGNATURE.test(definition) || optional > 8)
      fault(node, "the signature of this function is too long");
  }

  function checkRegex(node: Node): void {
    const { value } = node;
    if (!(value instanceof RegExp)) return;
    patternLength += value.source.length;
    if (patternLength > MAX_PATTERNS) {
      return fault(node, `regular expressions have ${MAX_PATTERNS} characters at most, all together`);
    }
    try {
      patterns.set(value, compilePattern(value));
    } catch (error) {
      fault(node, `Relay does not take this regular expression: ${toErrorText(error)}`);
    }
  }

  walk(tree, true);
  for (const node of used) {
    if (node.value === "eval") fault(node, "$eval is not available");
    else if (!KNOWN.has(node.value) && !defined.has(node.value)) {
      fault(node, `$${String(node.value).slice(0, 40)} is not defined`);
    }
  }
  return faults;
}

/** What stands below is evaluated on something else than the node itself. */
const INNER: ReadonlySet<string> = new Set([
  "predicate",
  "stages",
  "group",
  "pattern",
  "update",
  "delete",
  "terms",
]);
const SKIPPED: ReadonlySet<string> = new Set(["value", "signature", "slot", "ancestor", "seekingParent"]);

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && !(value instanceof RegExp);
}

/** Functions of Relay do the same within bounds. */
function replace(node: Node): void {
  if (node.type === "wildcard") {
    Object.assign(node, call(WILDCARD, []), { position: node.position });
  } else if (node.type === "transform") {
    node["pattern"] = call(CHECK_MATCHES, [node["pattern"]]);
    node["update"] = call(CHECK_UPDATE, [node["update"]]);
  }
}

function call(name: string, args: unknown[]): Node {
  return { type: "function", value: "(", arguments: args, procedure: { type: "variable", value: name } };
}
