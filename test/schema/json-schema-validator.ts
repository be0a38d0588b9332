// The part of JSON Schema that the config's schema uses, as a validator.

type Schema = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isSchema = isObject;

/** Whether `value` is valid; throws on a keyword that it does not know. */
export function isValid(value: unknown, schema: Schema, root: Schema = schema): boolean {
  return Object.entries(schema).every(([keyword, wanted]) =>
    isKept(value, { keyword, wanted, schema, root }),
  );
}

function isKept(
  value: unknown,
  { keyword, wanted, schema, root }: { keyword: string; wanted: unknown; schema: Schema; root: Schema },
): boolean {
  const sub = (inner: unknown, at: unknown) => isSchema(at) && isValid(inner, at, root);
  const list = Array.isArray(wanted) ? (wanted as readonly unknown[]) : [];
  switch (keyword) {
    case "$schema":
    case "$id":
    case "$defs":
    case "title":
    case "description":
    case "default":
    case "examples":
      return true;
    case "$ref":
      return sub(value, follow(String(wanted), root));
    case "type":
      return typesOf(value).includes(String(wanted));
    case "const":
      return value === wanted;
    case "enum":
      return list.includes(value);
    case "anyOf":
      return list.some((at) => sub(value, at));
    case "oneOf":
      return list.filter((at) => sub(value, at)).length === 1;
    case "required":
      return !isObject(value) || list.every((key) => String(key) in value);
    case "properties":
      if (!isObject(value) || !isObject(wanted)) return true;
      return Object.entries(wanted).every(([key, at]) => !(key in value) || sub(value[key], at));
    case "additionalProperties": {
      if (!isObject(value)) return true;
      const known = isObject(schema["properties"]) ? Object.keys(schema["properties"]) : [];
      const rest = Object.keys(value).filter((key) => !known.includes(key));
      return wanted === false ? rest.length === 0 : rest.every((key) => sub(value[key], wanted));
    }
    case "propertyNames":
      return !isObject(value) || Object.keys(value).every((key) => sub(key, wanted));
    case "prefixItems":
      return (
        !Array.isArray(value) || value.every((item, index) => !(index in list) || sub(item, list[index]))
      );
    case "items": {
      const { prefixItems } = schema;
      const first = Array.isArray(prefixItems) ? prefixItems.length : 0;
      return !Array.isArray(value) || value.slice(first).every((item) => sub(item, wanted));
    }
    case "minItems":
      return !Array.isArray(value) || value.length >= Number(wanted);
    case "maxItems":
      return !Array.isArray(value) || value.length <= Number(wanted);
    case "minLength":
      return typeof value !== "string" || value.length >= Number(wanted);
    case "maxLength":
      return typeof value !== "string" || value.length <= Number(wanted);
    case "pattern":
      return typeof value !== "string" || new RegExp(String(wanted), "u").test(value);
    case "minimum":
      return typeof value !== "number" || value >= Number(wanted);
    case "maximum":
      return typeof value !== "number" || value <= Number(wanted);
    default:
      throw new Error(`Unknown keyword of JSON Schema: ${keyword}`);
  }
}

function typesOf(value: unknown): readonly string[] {
  if (value === null) return ["null"];
  if (Array.isArray(value)) return ["array"];
  if (typeof value === "number") return Number.isInteger(value) ? ["number", "integer"] : ["number"];
  return [typeof value];
}

function follow(reference: string, root: Schema): unknown {
  return reference
    .replace(/^#\//u, "")
    .split("/")
    .reduce<unknown>((at, key) => (isObject(at) ? at[key] : undefined), root);
}
