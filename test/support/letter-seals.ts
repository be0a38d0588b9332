// Seals of dead letters for tests that are about something else, or without a bucket.

import type { LetterSeal } from "#letters/seal.ts";
import { isSigned, signLetter } from "#letters/signature.ts";

/** Signs nothing, and takes every letter for one of the cluster. */
export const TRUSTING_SEAL: LetterSeal = {
  sign: async () => "v1=test",
  isGenuine: () => true,
  known: async () => undefined,
};

/** With a key of its own. */
export function createTestSeal(): LetterSeal {
  const key = { id: "test", secret: crypto.getRandomValues(new Uint8Array(32)) };
  return {
    sign: async (letter, body) => signLetter(letter, body, key),
    isGenuine: (letter, body) => isSigned(letter, body, (id) => (id === key.id ? key : null)),
    known: async () => undefined,
  };
}
