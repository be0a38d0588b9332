// The text of what the library throws, which are objects rather than errors: on one line, and short. PURE.

import { messageOf } from "#lib/errors.ts";

/** The message shows a part of what the expression met. */
const MAX_LENGTH = 200;

export function toErrorText(error: unknown): string {
  const text =
    typeof error === "object" && error !== null && "message" in error && typeof error.message === "string"
      ? error.message
      : messageOf(error);
  const line = text.replaceAll(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, " ").trim();
  return line.length > MAX_LENGTH ? `${line.slice(0, MAX_LENGTH)}…` : line;
}

/** The place in the expression, from 1; null: unknown. */
export function placeOf(error: unknown): number | null {
  const isPlaced =
    typeof error === "object" && error !== null && "position" in error && typeof error.position === "number";
  return isPlaced ? Math.max(1, error.position as number) : null;
}
