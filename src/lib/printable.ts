// Makes foreign text safe to print: escapes characters that control a terminal, or that reverse or hide text. PURE.

/** Controls (C0, DEL, C1), format characters such as U+202E and U+200B, and other line separators. */
const HOSTILE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** One line without control characters, shown in the order in which it is stored. */
export function clean(text: string): string {
  return text.replaceAll(HOSTILE, (character) => SHORT_ESCAPES[character] ?? toUnicodeEscape(character));
}

/** As `clean`, but keeps line breaks. */
export function cleanLines(text: string): string {
  return text.split(/\r?\n/u).map(clean).join("\n");
}

/** The same JSON; keeps the line breaks between its parts. */
export function cleanJson(json: string): string {
  return json.replaceAll(HOSTILE, (character) => (character === "\n" ? "\n" : toUnicodeEscape(character)));
}

/** JSON that is safe for a terminal: `JSON.stringify` leaves some control characters as they are. */
export function toSafeJson(value: unknown): string {
  return `${cleanJson(JSON.stringify(value, null, 2))}\n`;
}

/** As `toSafeJson`, on one line. */
export function toSafeLine(value: unknown): string {
  return `${cleanJson(JSON.stringify(value))}\n`;
}

/** As in JSON: two of them for a character beyond U+FFFF. */
function toUnicodeEscape(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
}
