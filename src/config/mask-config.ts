// Masks a config file, or a subscription of it, for display: defaults applied, secrets hidden. PURE.

import { MASK } from "#lib/mask.ts";
import type { ConfigFile, SubscriptionEntry } from "#schema/file.ts";
import { isSecret, type Secret } from "#schema/secret.ts";

type Shown = string | number | boolean | null | readonly Shown[] | { readonly [key: string]: Shown };

/**
 * The result is a valid config again: secrets become `***`, references stay, called URLs lose their query. Only the
 * position decides what is a secret. No text is searched for secrets, because a masked word elsewhere would reveal them.
 */
export function maskConfig(part: ConfigFile | SubscriptionEntry): Shown {
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

/** The only called URL that is not a `Secret`: it cannot be given by reference. */
const URL_KEY = "jwksUri";

function showSecret({ source, isPublic }: Secret): Shown {
  if (source.kind !== "inline") return { [source.kind]: source.name };
  return isPublic ? showUrl(source.value) : MASK;
}

function showUrl(text: string): string {
  return text.replace(/^(https?:\/\/[^\s?#]*[?#])\S+/iu, `$1${MASK}`);
}
