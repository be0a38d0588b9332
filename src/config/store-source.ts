// Reads the bytes of a store: from a file, or from the config file itself.

import { resolve } from "node:path";
import type { IterationBudget } from "#keystore/budget.ts";
import { isSecret } from "#schema/secret.ts";
import { type ConfigContext, reasonOf, type Secrets } from "./secrets.ts";
import { faulty, type Given, read, type Reading, UNKNOWN } from "./store-reading.ts";

export interface StoreScope {
  readonly context: ConfigContext;
  readonly secrets: Secrets;
  /** Shared by all stores that are loaded together. */
  readonly budget: IterationBudget;
}

/** The names of the two keys, path or content, which differ between kinds of stores. */
interface Place {
  readonly pathKey: string;
  readonly contentKey: string;
  readonly isBase64: boolean;
}

const MAX_STORE_BYTES = 1024 * 1024;
const MAX_BASE64_LENGTH = Math.ceil(MAX_STORE_BYTES / 3) * 4;

export function readSource(
  store: Readonly<Record<string, unknown>>,
  { pathKey, contentKey, isBase64, ...scope }: Place & StoreScope,
): Reading<Given<Buffer>> {
  const { [pathKey]: path, [contentKey]: content } = store;
  if (pathKey in store && contentKey in store) return UNKNOWN;
  if (typeof path === "string") return readStoreFile({ path: [pathKey], value: path }, scope.context);
  const text = isSecret(content) ? scope.secrets.valueOf(content) : undefined;
  if (text === undefined) return UNKNOWN;
  return toBytes({ path: [contentKey], value: text }, { isBase64 });
}

function readStoreFile({ path, value }: Given<string>, context: ConfigContext): Reading<Given<Buffer>> {
  if (context.withoutSecrets) return UNKNOWN;
  const file = resolve(context.directory, value);
  const bytes = readBytes(file, context);
  return bytes.kind === "read"
    ? read({ path, value: bytes.value })
    : faulty(path, `cannot read ${file}: ${bytes.reason}`);
}

type FileBytes =
  | { readonly kind: "read"; readonly value: Buffer }
  | { readonly kind: "unreadable"; readonly reason: string };

/** The reason does not contain the path. */
export function readBytes(file: string, context: ConfigContext): FileBytes {
  try {
    return { kind: "read", value: Buffer.from(context.readBytes(file)) };
  } catch (error) {
    return { kind: "unreadable", reason: reasonOf(error) };
  }
}

export function toBytes(
  { path, value }: Given<string>,
  { isBase64 }: { isBase64: boolean },
): Reading<Given<Buffer>> {
  if (value.length > MAX_BASE64_LENGTH) return faulty(path, `it is larger than ${MAX_STORE_BYTES} bytes`);
  if (!isBase64) return read({ path, value: Buffer.from(value, "utf8") });
  const bytes = decodeBase64(value);
  return bytes === null ? faulty(path, "allowed: the store in base64") : read({ path, value: bytes });
}

/** Accepts both alphabets, line breaks and blanks; null: the text is not base64. */
export function decodeBase64(text: string): Buffer | null {
  const dense = text.replaceAll(/\s+/gu, "");
  return dense !== "" && /^[\w+/-]+={0,2}$/u.test(dense) ? Buffer.from(dense, "base64") : null;
}
