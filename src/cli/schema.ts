// `relay schema`: prints the JSON Schema of the config file.

import { configJsonSchema } from "#schema/json-schema.ts";
import type { Output } from "./output.ts";

export function runSchema(io: Output): number {
  io.stdout(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  return 0;
}
