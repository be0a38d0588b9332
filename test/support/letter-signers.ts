// Signers of dead letters for tests that are about something else, or without a bucket.

import type { LetterSigner } from "#letters/signer.ts";
import { isSigned, signLetter } from "#letters/signature.ts";

/** Signs nothing, and accepts every letter as signed. */
export const TRUSTING_SIGNER: LetterSigner = {
  sign: async () => "v1=test",
  isGenuine: () => true,
  known: async () => undefined,
};

/** Signs with a key of its own. */
export function createTestSigner(): LetterSigner {
  const key = { id: "test", secret: crypto.getRandomValues(new Uint8Array(32)) };
  return {
    sign: async (letter, body) => signLetter(letter, body, key),
    isGenuine: (letter, body) => isSigned(letter, body, (id) => (id === key.id ? key : null)),
    known: async () => undefined,
  };
}
