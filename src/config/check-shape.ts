// Checks `filter`, `transform` and `cloudEvents`: compiles each expression, and refuses headers that are set elsewhere.

import { headerKey, isReservedHeader } from "#delivery/header.ts";
import type { Fault, Path } from "#schema/issue.ts";
import type { Sound } from "#schema/validate.ts";
import { compile } from "#shape/expression.ts";

interface ShapePart {
  readonly filter?: string | undefined;
  readonly transform?:
    | {
        readonly body?: string | undefined;
        readonly path?: string | undefined;
        readonly query?: string | undefined;
        readonly method?: string | undefined;
        readonly headers?: readonly (Sound<{ name: string; value: string }> | undefined)[] | undefined;
      }
    | undefined;
  readonly cloudEvents?:
    | { readonly source?: string | undefined; readonly type?: string | undefined }
    | undefined;
}

interface Place {
  readonly path: Path;
  readonly text: string;
}

/** `pathOf`: the path of a key. `ownHeaders`: the names that `headers` and `auth` beside it set. */
export function checkShape(
  part: ShapePart,
  { pathOf, ownHeaders }: { pathOf: (key: string) => Path; ownHeaders: readonly string[] },
): Fault[] {
  return [
    ...listExpressions(part, pathOf).flatMap(({ path, text }) => checkExpression(text, path)),
    ...checkHeaders(part.transform?.headers ?? [], { path: [...pathOf("transform"), "headers"], ownHeaders }),
  ];
}

/** The paths of all expressions, relative to `part`. */
export function expressionPaths(part: ShapePart): readonly Path[] {
  return listExpressions(part, (key) => [key]).map(({ path }) => path);
}

function listExpressions(
  { filter, transform, cloudEvents }: ShapePart,
  pathOf: (key: string) => Path,
): Place[] {
  const at = (path: Path, text: string | undefined): Place[] => (text === undefined ? [] : [{ path, text }]);
  const ofTransform = (["body", "path", "query", "method"] as const).flatMap((key) =>
    at([...pathOf("transform"), key], transform?.[key]),
  );
  const ofHeaders = (transform?.headers ?? []).flatMap((header, index) =>
    at([...pathOf("transform"), "headers", index, "value"], header?.value),
  );
  const ofEvents = (["source", "type"] as const).flatMap((key) => {
    const text = cloudEvents?.[key];
    return text?.startsWith("=") === true ? at([...pathOf("cloudEvents"), key], text.slice(1)) : [];
  });
  return [...at(pathOf("filter"), filter), ...ofTransform, ...ofHeaders, ...ofEvents];
}

function checkExpression(text: string, path: Path): Fault[] {
  const compiled = compile(text);
  if (compiled.kind === "compiled") return [];
  const { message, position } = compiled.fault;
  const place = position === null ? "" : `, at character ${position}`;
  return [{ path, message: `not a valid expression${place}: ${message}` }];
}

function checkHeaders(
  headers: NonNullable<NonNullable<ShapePart["transform"]>["headers"]>,
  { path, ownHeaders }: { path: Path; ownHeaders: readonly string[] },
): Fault[] {
  const own = new Set(ownHeaders.map(headerKey));
  const seen = new Set<string>();
  return headers.flatMap((header, index) => {
    const name = header?.name;
    if (name === undefined) return [];
    const key = headerKey(name);
    const fault = (message: string): Fault[] => [{ path: [...path, index, "name"], message }];
    if (isReservedHeader(key)) return fault(`${name} is set by Relay itself`);
    if (own.has(key)) return fault(`${name} is set by \`headers\` or \`auth\` already`);
    if (seen.has(key)) return fault(`${name} is listed twice`);
    seen.add(key);
    return [];
  });
}
