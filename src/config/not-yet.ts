// Keys that are read and checked, but whose feature is not there yet: a line leaves with its feature.

import { formatPath, type Path } from "./issue.ts";

/** `[]` stands for any index. */
const NOT_YET: ReadonlySet<string> = new Set(["entrypoints[].configuration.ordering"]);

/** One line for each key of the file that does nothing yet, in the order of the file. */
export function listUnused(value: unknown): readonly string[] {
  return findUnused(value, []).map((path) => `${formatPath(path)} does nothing yet`);
}

function findUnused(value: unknown, path: Path): Path[] {
  if (NOT_YET.has(keyOf(path))) return [path];
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
