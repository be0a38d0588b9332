// Generates the tables of config keys in the documentation from the schema.

import * as v from "valibot";
import { configSchema } from "./file.ts";
import { innerOf, type Shape, shapeOf, wordOf } from "./unwrap.ts";

export interface Description {
  /** The top-level key. */
  readonly name: string;
  readonly rows: readonly Row[];
  readonly markdown: string;
}

/** A row of a table; all texts are Markdown. */
interface Row {
  readonly key: string;
  readonly fallback: string;
  readonly meaning: string;
}

/** Aliases: their inner keys are described where the first name stands. */
const NOT_OPENED: ReadonlySet<string> = new Set(["entrypointConfiguration", "consumerConfiguration"]);

/**
 * One table for each top-level key that has keys of its own. A key that entrypoints and subscriptions share is described
 * once, with the entrypoints.
 */
export function describeConfig(): readonly Description[] {
  const shape = shapeOf(configSchema);
  if (shape.kind !== "object") return [];
  const described = new Set<string>();
  return Object.entries(shape.entries).flatMap(([name, schema]) => {
    const inner = shapeOf(schema);
    const all = inner.kind === "list" ? rowsOf(inner.item, "") : rowsOf(schema, `${name}.`);
    const rows = all.filter((row) => !row.key.includes(".") || !described.has(JSON.stringify(row)));
    for (const row of rows) described.add(JSON.stringify(row));
    return rows.length === 0 ? [] : [{ name, rows, markdown: toTable(rows) }];
  });
}

function toTable(rows: readonly Row[]): string {
  const lines = gatherAlike(rows).map((alike) => {
    const meanings = alike.map(({ meaning }) => escape(meaning));
    return `| ${toKeys(alike)} | ${escape(alike[0]?.fallback ?? "")} | ${meanings.join(" · ")} |`;
  });
  return ["| key | default | meaning |", "|---|---|---|", ...lines].join("\n");
}

/** In characters. A key with a longer meaning gets a row of its own. */
const SHORT_MEANING = 100;

/** Consecutive keys of one object share a row if they have the same default and short meanings. */
function gatherAlike(rows: readonly Row[]): Row[][] {
  const groups: Row[][] = [];
  for (const row of rows) {
    const group = groups.at(-1);
    const last = group?.at(-1);
    if (group !== undefined && last !== undefined && isAlike(row, last)) group.push(row);
    else groups.push([row]);
  }
  return groups;
}

function isAlike(row: Row, last: Row): boolean {
  const isNeighbour = row.key.includes(".") && parentOf(row.key) === parentOf(last.key);
  const isShort = Math.max(row.meaning.length, last.meaning.length) <= SHORT_MEANING;
  return isNeighbour && row.fallback === last.fallback && isShort;
}

function parentOf(key: string): string {
  return key.slice(0, key.lastIndexOf(".") + 1);
}

/** The first key with its whole path, the others by their last name. */
function toKeys(alike: readonly Row[]): string {
  return alike
    .map(({ key }, index) => `\`${index === 0 ? key : key.slice(parentOf(key).length)}\``)
    .join(", ");
}

function escape(text: string): string {
  return text.replaceAll("|", String.raw`\|`);
}

/** The rows of all keys below `schema`. `prefix` is empty or ends with a dot. */
function rowsOf(schema: v.GenericSchema, prefix: string): Row[] {
  const shape = shapeOf(schema);
  switch (shape.kind) {
    case "object":
      return Object.entries(shape.entries).flatMap(([key, entry]) => {
        const row = toRow(entry, `${prefix}${key}`);
        const pair = pairOf(entry);
        if (pair !== null) return toRow(entry, `${prefix}${key}`, `: a list of ${pair}`);
        if (NOT_OPENED.has(key)) return row;
        const parts = rowsOf(entry, `${prefix}${key}.`);
        // A group of keys that all have defaults needs no row of its own.
        return row.fallback === "" && prefix !== "" ? parts : [row].concat(parts);
      });
    case "variant":
      return variantRows(shape, prefix);
    case "list":
      return rowsOf(shape.item, `${prefix.slice(0, -1)}[].`);
    case "value":
      return [];
  }
}

/** The form of a list's items if they are pairs of name and value, which need no rows of their own; else null. */
function pairOf(schema: v.GenericSchema): string | null {
  const shape = shapeOf(schema);
  const item = shape.kind === "list" ? shapeOf(shape.item) : shape;
  if (shape.kind !== "list" || item.kind !== "object") return null;
  return Object.keys(item.entries).join() === "name,value" ? '`{ "name", "value" }`' : null;
}

/** The keys of all options. The meaning of a key that only some options have says which. */
function variantRows(shape: Extract<Shape, { kind: "variant" }>, prefix: string): Row[] {
  const key = shape.discriminator;
  const groups = new Map<string, { row: Row; words: string[] }>();
  for (const option of shape.options) {
    const word = wordOf(option, key);
    for (const row of rowsOf(option, prefix)) {
      if (row.key === `${prefix}${key}`) continue;
      const same = groups.get(JSON.stringify(row));
      if (same === undefined) groups.set(JSON.stringify(row), { row, words: [word] });
      else same.words.push(word);
    }
  }
  return [...groups.values()].map(({ row, words }) => {
    const isDirect = !row.key.slice(prefix.length).includes(".");
    if (!isDirect || words.length === shape.options.length) return row;
    const types = words.map((word) => `\`${word}\``).join(" or ");
    return { key: row.key, fallback: row.fallback, meaning: `With ${types}: ${row.meaning}` };
  });
}

function toRow(schema: v.GenericSchema, key: string, form = ""): Row {
  const range = rangeOf(schema);
  const meaning = `${descriptionOf(schema)}${form}`;
  return { key, fallback: fallbackOf(schema), meaning: range === null ? meaning : `${meaning} (${range})` };
}

function fallbackOf(schema: v.GenericSchema): string {
  if (schema.type !== "optional") return "required";
  const stated = v.getMetadata(innerOf(schema))["fallback"];
  if (typeof stated === "string") return stated;
  const value = "default" in schema ? schema.default : undefined;
  if (value === undefined) return "absent";
  return isEmptyObject(value) ? "" : `\`${JSON.stringify(value)}\``;
}

/** True for the default of an object whose keys have their own defaults. */
function isEmptyObject(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0
  );
}

function descriptionOf(schema: v.GenericSchema): string {
  return v.getDescription(innerOf(schema)) ?? "";
}

function rangeOf(schema: v.GenericSchema): string | null {
  const inner = innerOf(schema);
  const [min, max] = ["min_value", "max_value"].map((type) => requirementOf(inner, type));
  if (min === undefined || max === undefined) return null;
  return max >= Number.MAX_SAFE_INTEGER ? `at least ${min}` : `${min} to ${max}`;
}

function requirementOf(schema: object, type: string): number | undefined {
  const pipe = "pipe" in schema && Array.isArray(schema.pipe) ? (schema.pipe as readonly unknown[]) : [];
  for (const step of pipe) {
    if (typeof step !== "object" || step === null || step === schema || !("type" in step)) continue;
    if (step.type === type && "requirement" in step) return Number(step.requirement);
    if ("pipe" in step) {
      const found = requirementOf(step, type);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}
