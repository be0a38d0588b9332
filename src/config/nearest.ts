// What somebody may have meant: the known word next to a misspelt one.

import { distance } from "fastest-levenshtein";

const MAX_LISTED = 12;

/** The known word that `word` is probably a misspelling of, or null. */
function nearestOf(word: string, known: readonly string[]): string | null {
  const limit = Math.max(1, Math.floor(word.length / 3));
  let best: { word: string; distance: number } | null = null;
  for (const candidate of known) {
    const steps = distance(fold(word), fold(candidate));
    if (steps <= limit && (best === null || steps < best.distance))
      best = { word: candidate, distance: steps };
  }
  return best?.word ?? null;
}

export function unknownKeyMessage(key: string, known: readonly string[]): string {
  const nearest = nearestOf(key, known);
  if (nearest !== null) return `unknown key, did you mean "${nearest}"?`;
  return known.length <= MAX_LISTED ? `unknown key, known here: ${known.join(", ")}` : "unknown key";
}

/** For a name that should be that of something in the file. `what` is singular: "endpoint". */
export function unknownNameMessage(what: string, name: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  const hint = nearest === null ? listOf(what, known) : `, did you mean "${nearest}"?`;
  return `no ${what} is named "${name}"${hint}`;
}

function listOf(what: string, known: readonly string[]): string {
  if (known.length === 0) return `: the file has no ${what}`;
  const names = known.slice(0, MAX_LISTED).map((name) => `"${name}"`);
  return `, known: ${names.join(", ")}${known.length > MAX_LISTED ? ", …" : ""}`;
}

function fold(word: string): string {
  return word.toLowerCase().replaceAll(/[-_ ]/gu, "");
}
