// Encrypts secrets in the bucket (JWE, RFC 7516) with `state.key`, and binds them to their subscription.

import { CompactEncrypt, compactDecrypt } from "jose";

import { RelayError } from "#lib/errors.ts";

export interface BucketCipher {
  /** `owner`: the id of the subscription. */
  encrypt: (text: string, owner: string) => Promise<string>;
  /**
   * Throws RelayError `unavailable` if it was encrypted with another key or for another owner, or was changed. Message and
   * cause contain no secret.
   */
  decrypt: (encrypted: string, owner: string) => Promise<string>;
}

const KEY_BYTES = 32;
const MANAGEMENT = "dir";
const ENCRYPTION = "A256GCM";

/** Throws RelayError `config-invalid` if the key is not 32 bytes long. */
export function createBucketCipher(key: Uint8Array): BucketCipher {
  if (key.length !== KEY_BYTES) {
    throw new RelayError(
      "config-invalid",
      `Cannot use state.key: ${key.length} bytes instead of ${KEY_BYTES}`,
    );
  }

  async function decrypt(encrypted: string, owner: string): Promise<string> {
    const options = {
      keyManagementAlgorithms: [MANAGEMENT],
      contentEncryptionAlgorithms: [ENCRYPTION],
    };
    const decrypted = await compactDecrypt(encrypted, key, options).catch(() => null);
    if (decrypted === null) throw broken(owner, "state.key is another one, or they were changed");
    if (decrypted.protectedHeader["sub"] !== owner)
      throw broken(owner, "they were encrypted for another one");
    return new TextDecoder().decode(decrypted.plaintext);
  }

  return {
    encrypt: (text, owner) =>
      new CompactEncrypt(new TextEncoder().encode(text))
        .setProtectedHeader({ alg: MANAGEMENT, enc: ENCRYPTION, sub: owner })
        .encrypt(key),
    decrypt,
  };
}

function broken(owner: string, reason: string): RelayError {
  return new RelayError("unavailable", `Cannot decrypt the secrets of subscription ${owner}: ${reason}`);
}
