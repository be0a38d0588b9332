// A file, or a subscription of it, as it may be shown: with the defaults of its schema, and without its secrets.

import { MASK } from "#lib/mask.ts";
import type { ConfigFile, SubscriptionEntry } from "./schema.ts";
import { isSecret, type Secret } from "./schema-secret.ts";

type Shown = string | number | boolean | null | readonly Shown[] | { readonly [key: string]: Shown };

/**
 * In the shape of the file, which takes it again: what the schema calls a secret is `***`, references are shown as they
 * are, of URLs that are called the query is left out. No text is searched for secrets: whether something is one says
 * its place, and what is shown of the other places tells nothing about it.
 */
export function toShown(part: ConfigFile | SubscriptionEntry): Shown {
  return show(part);
}

function show(value: unknown): Shown {
  if (isSecret(value)) return showSecret(value);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  if (Array.isArray(value)) return value.map(show);
  if (typeof value !== "object" || value === null) return null;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      key === URL_KEY && typeof inner === "string" ? showUrl(inner) : show(inner),
    ]),
  );
}

/** The only URL with a query that is no `Secret`, for it cannot be given by reference. */
const URL_KEY = "jwksUri";

function showSecret({ source, isPublic }: Secret): Shown {
  if (source.kind !== "inline") return { [source.kind]: source.name };
  return isPublic ? showUrl(source.value) : MASK;
}

function showUrl(text: string): string {
  return text.replace(/^(https?:\/\/[^\s?#]*[?#])\S+/iu, `$1${MASK}`);
}
