// Proves that an entry of the bucket was written by a relay with the same `state.key`: an HMAC-SHA-256 in a header of it.

import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

export interface BucketSeal {
  /** The value of the header `Relay-Signature`. */
  sign: (key: string, value: string) => string;
  /** `signature` null: it has none. False also if it was moved to another key, or comes from another bucket. */
  isProven: (key: string, value: string, signature: string | null) => boolean;
}

export const SEAL_HEADER = "Relay-Signature";
const SIGNATURE = /^v1=([\w-]{43})$/;

export function createBucketSeal(stateKey: Uint8Array, bucket: string): BucketSeal {
  // Not the key itself: that one encrypts.
  const secret = Buffer.from(hkdfSync("sha256", stateKey, "", "relay bucket v1", 32));

  function toMac(key: string, value: string): Buffer {
    return createHmac("sha256", secret)
      .update(JSON.stringify([bucket, key, value]))
      .digest();
  }

  return {
    sign: (key, value) => `v1=${toMac(key, value).toString("base64url")}`,
    isProven(key, value, signature) {
      const [, mac] = SIGNATURE.exec(signature ?? "") ?? [];
      return mac !== undefined && timingSafeEqual(toMac(key, value), Buffer.from(mac, "base64url"));
    },
  };
}
