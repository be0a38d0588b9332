// Takes the beginning of a textual answer for the error of a failed attempt: masked, and one line of valid UTF-8. PURE.

import { MASK, type Mask } from "#lib/mask.ts";

const MAX_LENGTH = 200;
/** So much more is masked, so that no secret is cut in two before it is hidden. */
const SEARCHED_BYTES = 2048;
/** Characters that no text has. */
const BINARY = /(?![\t\n\v\f\r\u007f-\u009f])\p{Cc}/u;
/** What may not stand in a line, or would turn or hide what follows it. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\s\ufeff\u200b-\u200f\u202a-\u202e\u2060-\u2069]+/gu;

/** `contentType` is believed only where the bytes are no UTF-8. Null: it is empty, or no text. */
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

/** A character that is cut at the end is left out. Null: it is none, or the encoding is not known. */
function decodeAs(charset: string, bytes: Uint8Array): string | null {
  try {
    // Bun's types know few of the labels that it takes.
    const label = charset as "utf-8";
    return new TextDecoder(label, { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}

/** Neither within a character nor within a mask. */
function cut(line: string): string {
  if (line.length <= MAX_LENGTH) return line;
  const end = line.lastIndexOf(MASK, MAX_LENGTH - 1);
  const kept =
    end > MAX_LENGTH - 1 - MASK.length && end >= 0 ? line.slice(0, end) : line.slice(0, MAX_LENGTH - 1);
  return `${kept.replace(/[\ud800-\udbff]$/u, "").trimEnd()}…`;
}
