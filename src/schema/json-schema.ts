// Generates the JSON Schema of the file, and the schemas of the OpenAPI document.

import { type ConversionConfig, type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import { isDeepStrictEqual } from "node:util";
import type { GenericSchema } from "valibot";
import { VERSION } from "#lib/version.ts";
import { configSchema } from "./file.ts";
import { ID } from "./parts.ts";
import { reference } from "./secret.ts";

const CONVERSION: ConversionConfig = {
  target: "draft-2020-12",
  typeMode: "input",
  // Metadata is for the documentation only, and JSON Schema cannot express a check.
  ignoreActions: ["metadata", "check"],
  // JSON Schema reads patterns with the flag `u`; all patterns here have it.
  overrideAction: ({ valibotAction, jsonSchema }) =>
    "requirement" in valibotAction && valibotAction.requirement instanceof RegExp
      ? { ...jsonSchema, pattern: valibotAction.requirement.source }
      : undefined,
};

/** Draft 2020-12. It accepts every file that `relay check` accepts; only `check` knows the rules between keys. */
export function configJsonSchema(): JsonSchema {
  const schema = toJsonSchema(configSchema, { ...CONVERSION, definitions: { reference } });
  const { $schema, $defs, ...rest } = schema;
  return { $schema, $id: `urn:relay:config:${VERSION}`, ...(withReferences(rest) as JsonSchema), $defs };
}

const REFERENCE = { $ref: "#/$defs/reference" };

/** Lets a reference stand in place of each string that is neither an id nor one of a fixed choice. */
function withReferences(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withReferences);
  if (typeof schema !== "object" || schema === null) return schema;
  const { description, default: fallback, ...node }: Readonly<Record<string, unknown>> = { ...schema };
  if (node["type"] === "string" && node["enum"] === undefined && node["pattern"] !== ID.source) {
    const annotations = { description, default: fallback };
    return { anyOf: [node, REFERENCE], ...withoutAbsent(annotations) };
  }
  const isSecret = Array.isArray(node["anyOf"]) && isDeepStrictEqual(node["anyOf"].at(-1), REFERENCE);
  if (isSecret) return schema;
  return Object.fromEntries(Object.entries(schema).map(([key, inner]) => [key, withReferences(inner)]));
}

function withoutAbsent(given: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Writes a pair as a list of two: not every reader of the document knows `prefixItems`. */
const withPairs: NonNullable<ConversionConfig["overrideSchema"]> = ({ valibotSchema, jsonSchema }) => {
  if (valibotSchema.type !== "strict_tuple") return undefined;
  const { prefixItems = [], items: _none, ...list } = jsonSchema;
  return { ...list, items: prefixItems[0] ?? {}, maxItems: prefixItems.length };
};

const COMPONENTS = "#/components/schemas/";

/**
 * For `components.schemas` of an OpenAPI 3.1 document: each schema under its name. Where one contains another, it refers to
 * it by name. Adds the schema of references as `Reference`.
 */
export function toComponents(
  schemas: Readonly<Record<string, GenericSchema>>,
): Readonly<Record<string, JsonSchema>> {
  const definitions = { ...schemas, Reference: reference };
  return Object.fromEntries(
    Object.entries(definitions).map(([name, schema]) => {
      const others = Object.entries(definitions).filter(([other]) => other !== name);
      return [name, convert(schema, { definitions: Object.fromEntries(others), overrideSchema: withPairs })];
    }),
  );
}

/** For request bodies of the API, which must contain the values themselves: the API refuses references. */
export function toInlineComponent(schema: GenericSchema): JsonSchema {
  return convert(schema, {
    definitions: { Reference: reference },
    overrideSchema: ({ jsonSchema }) => {
      const { anyOf, ...others } = jsonSchema;
      const isReferable = anyOf?.some((option) => typeof option === "object" && "$ref" in option) === true;
      return isReferable ? { ...others, type: "string" } : undefined;
    },
  });
}

/** Without `$defs` and `$schema`, which belong to the document around it. */
function convert(schema: GenericSchema, config: ConversionConfig): JsonSchema {
  const {
    $schema: _dialect,
    $defs: _definitions,
    ...converted
  } = toJsonSchema(schema, {
    ...CONVERSION,
    ...config,
    overrideRef: ({ referenceId }) => `${COMPONENTS}${referenceId}`,
  });
  return converted;
}
