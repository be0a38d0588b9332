// Encrypts secrets in the bucket (JWE, RFC 7516) with `state.key`, and binds them to their subscription.

import { CompactEncrypt, compactDecrypt } from "jose";

import { RelayError } from "#lib/errors.ts";

export interface Sealer {
  /** `owner`: the id of the subscription. */
  seal: (text: string, owner: string) => Promise<string>;
  /**
   * Throws RelayError `unavailable` if it was sealed with another key, for another owner, or was changed. Message and cause
   * contain no secret.
   */
  open: (sealed: string, owner: string) => Promise<string>;
}

const KEY_BYTES = 32;
const MANAGEMENT = "dir";
const ENCRYPTION = "A256GCM";

/** Throws RelayError `config-invalid` if the key is not 32 bytes long. */
export function createSealer(key: Uint8Array): Sealer {
  if (key.length !== KEY_BYTES) {
    throw new RelayError(
      "config-invalid",
      `Cannot use state.key: ${key.length} bytes instead of ${KEY_BYTES}`,
    );
  }

  async function open(sealed: string, owner: string): Promise<string> {
    const options = {
      keyManagementAlgorithms: [MANAGEMENT],
      contentEncryptionAlgorithms: [ENCRYPTION],
    };
    const opened = await compactDecrypt(sealed, key, options).catch(() => null);
    if (opened === null) throw broken(owner, "state.key is another one, or they were changed");
    if (opened.protectedHeader["sub"] !== owner) throw broken(owner, "they were sealed for another one");
    return new TextDecoder().decode(opened.plaintext);
  }

  return {
    seal: (text, owner) =>
      new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg: MANAGEMENT, enc: ENCRYPTION, sub: owner })
        .encrypt(key),
    open,
  };
}

function broken(owner: string, reason: string): RelayError {
  return new RelayError("unavailable", `Cannot open the secrets of subscription ${owner}: ${reason}`);
}
