// How far a list of dead letters got, as text: for each place the sequence from which on everything was seen.

import { placeKey, type LetterPlace } from "./locations.ts";

/** By the key of the place. */
export type LetterPositions = ReadonlyMap<string, number>;

export function toLetterCursor(positions: LetterPositions): string {
  return Buffer.from(JSON.stringify([...positions])).toString("base64url");
}

/** null: it is no cursor. */
export function parseLetterCursor(text: string): LetterPositions | null {
  try {
    const parsed = JSON.parse(Buffer.from(text, "base64url").toString()) as unknown;
    return Array.isArray(parsed) && parsed.every(isPosition) ? new Map(parsed) : null;
  } catch {
    return null;
  }
}

export function positionOf(positions: LetterPositions | null, place: LetterPlace): number | null {
  return positions?.get(placeKey(place)) ?? null;
}

function isPosition(value: unknown): value is [string, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [key, sequence] = value as unknown[];
  return typeof key === "string" && Number.isSafeInteger(sequence) && Number(sequence) >= 0;
}
