// Selects the headers of a message that are sent to the callback.

import { headerKey, isReservedHeader, isValidHeader } from "#delivery/header.ts";
import type { Header } from "#delivery/message.ts";

interface PickedHeaders {
  /** By lower-case name, in the order of the message, repeated ones joined. */
  readonly fields: ReadonlyMap<string, Header>;
  /** The number of headers that cannot be sent: invalid in HTTP, or above the limit. */
  readonly dropped: number;
}

/** Total size of the kept headers, each with colon, space and line break. */
const MAX_BYTES = 16 * 1024;
const FIELD_OVERHEAD = 4;
const JOINER = ", ";

/** Beside the reserved ones: headers that carry credentials, and Relay's own name. */
const WITHHELD: ReadonlySet<string> = new Set(["authorization", "cookie", "user-agent"]);

/** Drops, without counting, headers that are withheld, hop-by-hop (RFC 9110, 7.6.1), or `overridden` (by `headerKey`). */
export function pickMessageHeaders(
  headers: readonly Header[],
  overridden: ReadonlySet<string>,
): PickedHeaders {
  const fields = new Map<string, Header>();
  const hopByHop = connectionOptions(headers);
  let bytes = 0;
  let dropped = 0;
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const owned = key.includes("_") ? headerKey(key) : key;
    if (owned === CONTENT_TYPE && key !== owned) continue;
    if (isWithheld(owned) || hopByHop.has(owned) || overridden.has(owned)) continue;
    const known = fields.get(key);
    const size = value.length + (known === undefined ? name.length + FIELD_OVERHEAD : JOINER.length);
    if (!isValidHeader(name, value) || bytes + size > MAX_BYTES) {
      dropped += 1;
      continue;
    }
    bytes += size;
    fields.set(key, known === undefined ? [name, value] : [known[0], known[1] + JOINER + value]);
  }
  return { fields, dropped };
}

/** A message may set it. `Content_Type` is dropped: some receivers take it for the same header. */
const CONTENT_TYPE = "content-type";

function isWithheld(key: string): boolean {
  return WITHHELD.has(key) || isReservedHeader(key);
}

const NONE: ReadonlySet<string> = new Set();

/** The names that `Connection` declares hop-by-hop. */
function connectionOptions(headers: readonly Header[]): ReadonlySet<string> {
  const values = headers.filter(([name]) => name.toLowerCase() === "connection").map(([, value]) => value);
  if (values.length === 0) return NONE;
  return new Set(values.flatMap((value) => value.split(",").map((option) => headerKey(option.trim()))));
}
