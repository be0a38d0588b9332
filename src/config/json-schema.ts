// The JSON Schema of the file, for editors and other tools.

import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import { configSchema } from "./schema.ts";
import { reference } from "./schema-secret.ts";

/** Draft 2020-12. It accepts every file that `check` accepts; rules between keys are left to `check`. */
export function configJsonSchema(): JsonSchema {
  return toJsonSchema(configSchema, {
    target: "draft-2020-12",
    typeMode: "input",
    definitions: { reference },
    // What the documentation says about defaults is for the documentation alone.
    ignoreActions: ["metadata"],
    // JSON Schema reads its patterns as if they had the flag `u`, which all of ours have.
    overrideAction: ({ valibotAction, jsonSchema }) =>
      "requirement" in valibotAction && valibotAction.requirement instanceof RegExp
        ? { ...jsonSchema, pattern: valibotAction.requirement.source }
        : undefined,
  });
}
