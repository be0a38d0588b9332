// Texts of others made harmless to whoever reads them: what steers a terminal, or turns or hides what is read, is escaped.

/** Controls (C0, DEL, C1), format characters such as U+202E and U+200B, and what else ends a line. */
const HOSTILE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** One line, whatever it holds: it ends no line, colours nothing, moves no cursor, and reads in the order it is stored in. */
export function clean(text: string): string {
  return text.replaceAll(HOSTILE, (character) => SHORT_ESCAPES[character] ?? toUnicodeEscape(character));
}

/** As `clean`, but its line breaks stay. */
export function cleanLines(text: string): string {
  return text.split(/\r?\n/u).map(clean).join("\n");
}

/** The same JSON; line breaks, which stand between its parts only, stay. */
export function cleanJson(json: string): string {
  return json.replaceAll(HOSTILE, (character) => (character === "\n" ? "\n" : toUnicodeEscape(character)));
}

/** JSON that a terminal takes for nothing else: `JSON.stringify` leaves some control characters as they are. */
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
