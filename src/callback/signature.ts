// Signs requests by Standard Webhooks 1.0: one signature for each key, so that a receiver can rotate keys. PURE.

import { createHmac, createPrivateKey, createSecretKey, sign } from "node:crypto";

import type { SignatureKey } from "#delivery/callback.ts";

/** Both as they are sent. */
interface SignedFields {
  readonly id: string;
  readonly timestamp: string;
}

/** Returns the value of `webhook-signature`. */
type Signer = (body: Uint8Array, fields: SignedFields) => string;

type SignWithKey = (prefix: string, body: Uint8Array) => string;

/** null: there is no key. */
export function createSigner(keys: readonly SignatureKey[]): Signer | null {
  if (keys.length === 0) return null;
  const signatures = keys.map(toSignWithKey);
  return (body, { id, timestamp }) => {
    const prefix = `${id}.${timestamp}.`;
    return signatures.map((signWithKey) => signWithKey(prefix, body)).join(" ");
  };
}

function toSignWithKey(key: SignatureKey): SignWithKey {
  switch (key.kind) {
    case "hmac-sha256": {
      const secret = createSecretKey(key.secret);
      return (prefix, body) =>
        `v1,${createHmac("sha256", secret).update(prefix, "latin1").update(body).digest("base64")}`;
    }
    case "ed25519": {
      const privateKey = toPrivateKey(key.seed);
      return (prefix, body) => `v1a,${sign(null, joinBytes(prefix, body), privateKey).toString("base64")}`;
    }
  }
}

/** PKCS#8 of an ed25519 key, up to its 32 bytes (RFC 8410, 7). */
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");

function toPrivateKey(seed: Uint8Array) {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" });
}

/** Ed25519 reads its input twice, so it needs it in one piece. */
function joinBytes(prefix: string, body: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(prefix.length + body.length);
  bytes.write(prefix, "latin1");
  bytes.set(body, prefix.length);
  return bytes;
}
