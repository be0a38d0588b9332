// Finds the known word that a misspelt one probably means.

import { distance } from "fastest-levenshtein";

const MAX_LISTED = 16;
const MIN_PREFIX = 4;

/** The known word that `word` probably misspells, at most `limit` edits away; null: there is none. */
export function nearestOf(
  word: string,
  known: readonly string[],
  limit = Math.max(1, Math.floor(word.length / 3)),
): string | null {
  let best: { word: string; distance: number } | null = null;
  for (const candidate of known) {
    const steps = distance(fold(word), fold(candidate));
    if (steps <= limit && (best === null || steps < best.distance))
      best = { word: candidate, distance: steps };
  }
  return best?.word ?? known.find((candidate) => isBeginning(fold(word), fold(candidate))) ?? null;
}

/** True: one word begins with the other, as `warning` and `warn`, or `ackWaitSeconds` and `ackWait`. */
function isBeginning(left: string, right: string): boolean {
  const isLong = Math.min(left.length, right.length) >= MIN_PREFIX;
  return isLong && (left.startsWith(right) || right.startsWith(left));
}

/** True: the words are equal if case and separators do not count. */
export function isSameWord(left: string, right: string): boolean {
  return fold(left) === fold(right);
}

export function unknownKeyMessage(known: readonly string[]): string {
  return known.length <= MAX_LISTED ? `unknown key, known here: ${known.join(", ")}` : "unknown key";
}

/** The message for a name that nothing in the file has. `what` is singular: "endpoint". */
export function unknownName(
  what: string,
  name: string,
  known: readonly string[],
): { readonly message: string; readonly suggestion: string | null } {
  const nearest = nearestOf(name, known);
  const message = `no ${what} is named "${name}"`;
  return nearest === null
    ? { message: `${message}${listOf(what, known)}`, suggestion: null }
    : { message, suggestion: `did you mean "${nearest}"?` };
}

function listOf(what: string, known: readonly string[]): string {
  if (known.length === 0) return `: the file has no ${what}`;
  const names = known.slice(0, MAX_LISTED).map((name) => `"${name}"`);
  return `, known: ${names.join(", ")}${known.length > MAX_LISTED ? ", …" : ""}`;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/gu, "");
}
