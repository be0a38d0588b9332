// The cursor of a dead-letter list as text: for each location, the lowest sequence that the list has covered.

import { locationKey, type LetterLocation } from "./locations.ts";

/** By location key. */
export type LetterPositions = ReadonlyMap<string, number>;

export function toLetterCursor(positions: LetterPositions): string {
  return Buffer.from(JSON.stringify([...positions])).toString("base64url");
}

/** null: not a cursor. */
export function parseLetterCursor(text: string): LetterPositions | null {
  try {
    const parsed = JSON.parse(Buffer.from(text, "base64url").toString()) as unknown;
    return Array.isArray(parsed) && parsed.every(isPosition) ? new Map(parsed) : null;
  } catch {
    return null;
  }
}

export function positionOf(positions: LetterPositions | null, location: LetterLocation): number | null {
  return positions?.get(locationKey(location)) ?? null;
}

function isPosition(value: unknown): value is [string, number] {
  if (!Array.isArray(value) || value.length !== 2) return false;
  const [key, sequence] = value as unknown[];
  return typeof key === "string" && Number.isSafeInteger(sequence) && Number(sequence) >= 0;
}
