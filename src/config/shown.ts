// A file, or a subscription of it, as it may be shown: with the defaults of its schema, and without its secrets.

import { MASK } from "#lib/mask.ts";
import type { ConfigFile, SubscriptionEntry } from "./schema.ts";
import { isSecret, type Secret } from "./schema-secret.ts";

export type Shown = string | number | boolean | null | readonly Shown[] | { readonly [key: string]: Shown };

/**
 * In the shape of the file, which takes it again: secrets are `***`, references are shown as they are, of URLs the query
 * is left out. `mask` is for what repeats a secret elsewhere: see `createMask`.
 */
export function toShown(part: ConfigFile | SubscriptionEntry, mask: (text: string) => string): Shown {
  return show(part, mask);
}

function show(value: unknown, mask: (text: string) => string): Shown {
  if (isSecret(value)) return showSecret(value, mask);
  if (typeof value === "string") return showText(value, mask);
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map((item: unknown) => show(item, mask));
  if (typeof value !== "object" || value === null) return null;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, show(inner, mask)]));
}

function showSecret({ source, isPublic }: Secret, mask: (text: string) => string): Shown {
  if (source.kind !== "inline") return { [source.kind]: source.name };
  return isPublic ? showText(source.value, mask) : MASK;
}

function showText(text: string, mask: (text: string) => string): string {
  return mask(text).replaceAll(/(https?:\/\/[^\s?#]*[?#])\S+/giu, `$1${MASK}`);
}
