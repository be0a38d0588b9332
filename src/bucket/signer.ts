// Signs bucket entries and verifies them: an HMAC-SHA-256 header proves that a relay with the same `state.key` wrote an entry.

import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

export interface BucketSigner {
  /** The value of the header `Relay-Signature`. */
  sign: (key: string, value: string) => string;
  /** `signature` null: none. False also if the entry was moved to another key, or copied from another bucket. */
  verify: (key: string, value: string, signature: string | null) => boolean;
}

/** Bucket entries and dead letters carry their signatures in it. */
export const SIGNATURE_HEADER = "Relay-Signature";
const SIGNATURE = /^v1=([\w-]{43})$/;

export function createBucketSigner(stateKey: Uint8Array, bucket: string): BucketSigner {
  // A derived key: `state.key` itself encrypts.
  const secret = Buffer.from(hkdfSync("sha256", stateKey, "", "relay bucket v1", 32));

  function toMac(key: string, value: string): Buffer {
    return createHmac("sha256", secret)
      .update(JSON.stringify([bucket, key, value]))
      .digest();
  }

  return {
    sign: (key, value) => `v1=${toMac(key, value).toString("base64url")}`,
    verify(key, value, signature) {
      const [, mac] = SIGNATURE.exec(signature ?? "") ?? [];
      return mac !== undefined && timingSafeEqual(toMac(key, value), Buffer.from(mac, "base64url"));
    },
  };
}
