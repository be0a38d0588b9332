// Keys that are read and checked, but whose feature is not there yet: a line leaves with its feature.

import { formatPath, type Path } from "./issue.ts";

interface Row {
  /** `[]` stands for any index. */
  readonly key: string;
  /** Whether a value asks for something; without it any value does. */
  readonly isAsking?: (value: unknown) => boolean;
}

const isEnabled = (value: unknown): boolean => memberOf(value, "enabled") === true;

const NOT_YET: readonly Row[] = [
  { key: "deliveryLog" },
  { key: "entrypoints[].configuration.ordering" },
  { key: "entrypoints[].configuration.logging", isAsking: isEnabled },
  { key: "entrypoints[].configuration.sampling" },
];

/** One line for each key of the file that does nothing yet, in the order of the file. */
export function listUnused(value: unknown): readonly string[] {
  return findUnused(value, []).map((path) => `${formatPath(path)} does nothing yet`);
}

function findUnused(value: unknown, path: Path): Path[] {
  const row = NOT_YET.find(({ key }) => key === keyOf(path));
  if (row !== undefined) return row.isAsking === undefined || row.isAsking(value) ? [path] : [];
  if (Array.isArray(value))
    return value.flatMap((item: unknown, index) => findUnused(item, [...path, index]));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => findUnused(inner, [...path, key]));
}

/** The key of a row: any index, and the flat form for the nested one. */
function keyOf(path: Path): string {
  const flat = path.filter((key) => key !== "entrypointConfiguration");
  return formatPath(flat).replaceAll(/\[\d+\]/gu, "[]");
}

function memberOf(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
