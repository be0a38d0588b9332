// Takes the beginning of a textual answer for the error of a failed attempt: masked, and one line of valid UTF-8. PURE.

import { MASK, type Mask } from "#lib/mask.ts";

const MAX_LENGTH = 200;
/** Longer than the excerpt, so that a secret at its end is masked before it is cut. */
const SEARCHED_BYTES = 2048;
/** Control characters that do not occur in text. */
const BINARY = /(?![\t\n\v\f\r\u007f-\u009f])\p{Cc}/u;
/** Characters that break a line, or reverse or hide the text after them. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\s\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/gu;

/** Uses the charset of `contentType` only if the bytes are not UTF-8. null: the answer is empty, or no text. */
export function toErrorExcerpt(
  body: Uint8Array,
  { contentType, mask }: { contentType: string; mask: Mask },
): string | null {
  const begin = body.subarray(0, SEARCHED_BYTES);
  const text = decode(begin, contentType);
  if (text === null || BINARY.test(text)) return null;
  const masked = body.length > SEARCHED_BYTES ? mask(text, "cut") : mask(text);
  const line = masked.replace(UNPRINTABLE, " ").trim();
  return line === "" ? null : cut(line);
}

function decode(bytes: Uint8Array, contentType: string): string | null {
  const [, charset = "utf-8"] = /charset\s*=\s*"?([\w.:-]{1,40})/iu.exec(contentType) ?? [];
  return decodeAs("utf-8", bytes) ?? decodeAs(charset, bytes);
}

/** Drops an incomplete character at the end. null: the bytes are not in that charset, or it is unknown. */
function decodeAs(charset: string, bytes: Uint8Array): string | null {
  try {
    // Bun accepts more labels than its types list.
    const label = charset as "utf-8";
    return new TextDecoder(label, { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}

/** Cuts neither a surrogate pair nor a mask in two. */
function cut(line: string): string {
  if (line.length <= MAX_LENGTH) return line;
  const end = line.lastIndexOf(MASK, MAX_LENGTH - 1);
  const kept =
    end > MAX_LENGTH - 1 - MASK.length && end >= 0 ? line.slice(0, end) : line.slice(0, MAX_LENGTH - 1);
  return `${kept.replace(/[\ud800-\udbff]$/u, "").trimEnd()}…`;
}
