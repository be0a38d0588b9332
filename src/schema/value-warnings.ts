// Warns about values that are probably not intended: unreplaced variables, seconds instead of milliseconds.

import type { GenericSchema } from "valibot";
import { configSchema } from "./file.ts";
import type { Fault, Path } from "./issue.ts";
import { entriesOf, isReferable, shapeOf } from "./unwrap.ts";
import { unitOf } from "./value-advice.ts";
import { adviseVariable, variableIn } from "./variables.ts";

/** A shorter time limit was probably meant in seconds. */
const MIN_PLAUSIBLE_MS = 100;
/** Whole thousands of seconds were probably meant in milliseconds, except maximum ages, which may be days. */
const MIN_DOUBTFUL_SECONDS = 1000;
const MAX_DOUBTFUL_SECONDS = 86_400;

/** `value`: a valid file as it is written, without defaults. */
export function listValueWarnings(value: unknown): readonly Fault[] {
  return walk(configSchema, { value, path: [] });
}

function walk(schema: GenericSchema, { value, path }: { value: unknown; path: Path }): readonly Fault[] {
  const shape = shapeOf(schema);
  if (Array.isArray(value) && shape.kind === "list") {
    return value.flatMap((item: unknown, index) => walk(shape.item, { value: item, path: [...path, index] }));
  }
  if (typeof value === "string") return variableWarnings(schema, { text: value, path });
  if (typeof value === "number") return unitWarnings(schema, { number: value, path });
  if (typeof value !== "object" || value === null) return [];
  const given = Object.entries(value);
  const word = shape.kind === "variant" ? given.find(([key]) => key === shape.discriminator)?.[1] : undefined;
  const entries = entriesOf(schema, word);
  return given.flatMap(([key, inner]) => {
    const entry = entries[key];
    return entry === undefined ? [] : walk(entry, { value: inner, path: [...path, key] });
  });
}

function variableWarnings(schema: GenericSchema, { text, path }: { text: string; path: Path }): Fault[] {
  const isReference = isReferable(schema);
  const name = isReference || /\$\{|\{\{/u.test(text) ? variableIn(text) : null;
  if (name === null) return [];
  const message = `the variable ${name} in this text is not replaced`;
  return [{ path, message, suggestion: adviseVariable(text, { isReferable: isReference }) }];
}

function unitWarnings(schema: GenericSchema, { number, path }: { number: number; path: Path }): Fault[] {
  const unit = unitOf(schema);
  const message = `found ${number}, which is ${number} ${unit}`;
  if (unit === "milliseconds" && number < MIN_PLAUSIBLE_MS) {
    return [{ path, message, suggestion: `for ${number} seconds write ${number * 1000}` }];
  }
  const isThousands = number % 1000 === 0 && number >= MIN_DOUBTFUL_SECONDS && number < MAX_DOUBTFUL_SECONDS;
  if (unit !== "seconds" || !isThousands || path.at(-1) === "maxAgeSeconds") return [];
  return [{ path, message, suggestion: `for ${number} milliseconds write ${number / 1000}` }];
}
