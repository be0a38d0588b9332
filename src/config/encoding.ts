// Finds the byte at which a config stops being UTF-8, and guesses its real encoding.

import type { Issue } from "#schema/issue.ts";

/** null: the bytes are UTF-8. */
export function findEncodingFault(bytes: Uint8Array): Issue | null {
  const other = findUtf16(bytes);
  if (other !== null) {
    return toIssue({ line: 1, column: 1, message: `found ${other}, allowed: UTF-8` }, other);
  }
  const offset = findBadByte(bytes);
  if (offset === null) return null;
  const nul = bytes.indexOf(0);
  if (nul >= 0 && nul < offset) {
    const place = { line: 1, column: 1 };
    return {
      ...place,
      path: "",
      message: "this is not text, allowed: JSON in UTF-8",
      suggestion: null,
      excerpt: null,
    };
  }
  const before = Buffer.from(bytes.subarray(0, offset)).toString("utf8").split("\n");
  const byte = bytes[offset] ?? 0;
  const hex = `0x${byte.toString(16).toUpperCase()}`;
  const letter = byte >= 0xa0 ? ` (${String.fromCharCode(byte)} in Latin-1)` : "";
  const place = { line: before.length, column: (before.at(-1) ?? "").length + 1 };
  return toIssue({ ...place, message: `found the byte ${hex}${letter}, allowed: UTF-8` }, "ISO-8859-1");
}

/** Recognizes UTF-16 by its byte-order mark, or by the zero byte beside the first `{`. */
function findUtf16(bytes: Uint8Array): string | null {
  const [first, second] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0x7b && second === 0)) return "UTF-16LE";
  if ((first === 0xfe && second === 0xff) || (first === 0 && second === 0x7b)) return "UTF-16BE";
  return null;
}

/** Binary search for the longest beginning that is UTF-8, apart from a character that it cuts in two. */
function findBadByte(bytes: Uint8Array): number | null {
  const isText = (end: number, stream: boolean) => {
    try {
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end), { stream });
      return true;
    } catch {
      return false;
    }
  };
  if (isText(bytes.length, false)) return null;
  let [good, bad] = [0, bytes.length + 1];
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (middle <= bytes.length && isText(middle, true)) good = middle;
    else bad = middle;
  }
  // The decoder rejects a character at its second byte; the fault is at its first.
  let start = Math.min(good, bytes.length - 1);
  while (start > 0 && !isText(start, false)) start -= 1;
  return start;
}

function toIssue(place: Pick<Issue, "line" | "column" | "message">, from: string): Issue {
  const suggestion = `save it as UTF-8, for example with: iconv -f ${from} -t UTF-8`;
  return { ...place, path: "", suggestion, excerpt: null };
}
