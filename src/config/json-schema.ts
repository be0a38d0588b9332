// Generates the JSON Schema of the file, and the schemas of the OpenAPI document.

import { type ConversionConfig, type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import { isDeepStrictEqual } from "node:util";
import type { GenericSchema } from "valibot";
import { VERSION } from "#lib/version.ts";
import { configSchema } from "./schema.ts";
import { ID } from "./schema-parts.ts";
import { reference } from "./schema-secret.ts";

const CONVERSION: ConversionConfig = {
  target: "draft-2020-12",
  typeMode: "input",
  // What the documentation says about defaults is for the documentation alone; a check is no JSON Schema.
  ignoreActions: ["metadata", "check"],
  // JSON Schema reads its patterns as if they had the flag `u`, which all of ours have.
  overrideAction: ({ valibotAction, jsonSchema }) =>
    "requirement" in valibotAction && valibotAction.requirement instanceof RegExp
      ? { ...jsonSchema, pattern: valibotAction.requirement.source }
      : undefined,
};

/** Draft 2020-12. It accepts every file that `check` accepts; rules between keys are left to `check`. */
export function configJsonSchema(): JsonSchema {
  const schema = toJsonSchema(configSchema, { ...CONVERSION, definitions: { reference } });
  const { $schema, $defs, ...rest } = schema;
  return { $schema, $id: `urn:relay:config:${VERSION}`, ...(withReferences(rest) as JsonSchema), $defs };
}

const REFERENCE = { $ref: "#/$defs/reference" };

/** Where a string stands that is neither an id nor one of a few words, a reference may stand too. */
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

/** A pair is a list of two: not all who read the document know `prefixItems`. */
const withPairs: NonNullable<ConversionConfig["overrideSchema"]> = ({ valibotSchema, jsonSchema }) => {
  if (valibotSchema.type !== "strict_tuple") return undefined;
  const { prefixItems = [], items: _none, ...list } = jsonSchema;
  return { ...list, items: prefixItems[0] ?? {}, maxItems: prefixItems.length };
};

const COMPONENTS = "#/components/schemas/";

/**
 * For `components.schemas` of an OpenAPI 3.1 document: each schema under its name, and by that name where it occurs in
 * another one. The one of references is added as `Reference`.
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

/** Of what is written by API: a value stands there itself, for a reference would be refused. */
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

/** Alone: definitions and the name of the dialect are the document's business. */
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
