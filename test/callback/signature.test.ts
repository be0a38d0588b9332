// Signatures as others read them: the vectors of the specification, its library, and node's own verification.

import { describe, expect, test } from "bun:test";
import { createHmac, createPublicKey, verify } from "node:crypto";
import { Webhook } from "standardwebhooks";

import { createSigner } from "#callback/signature.ts";
import type { SignatureKey } from "#delivery/callback.ts";

/** The ones that the libraries of the specification are tested with; the second key ends with its public half. */
const HMAC_KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ED25519_KEY =
  "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const FIELDS = { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp: "1614265330" };
const BODY = '{"test": 2432232314}';
const HMAC_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const ED25519_SIGNATURE =
  "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

const toBytes = (text: string) => new TextEncoder().encode(text);

function hmacKey(secret: string | Uint8Array): SignatureKey {
  return {
    kind: "hmac-sha256",
    secret: typeof secret === "string" ? Buffer.from(secret, "base64") : secret,
  };
}

const ED25519: SignatureKey = {
  kind: "ed25519",
  seed: Buffer.from(ED25519_KEY, "base64").subarray(0, 32),
};

function signed(keys: readonly SignatureKey[], body: Uint8Array, fields = FIELDS): string {
  return createSigner(keys)?.(body, fields) ?? "";
}

/** As the specification has it: the public key as 32 bytes, the signature over `id.timestamp.body`. */
function isVerified(signature: string, body: Uint8Array): boolean {
  const x = Buffer.from(ED25519_KEY, "base64").subarray(32).toString("base64url");
  const key = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const content = Buffer.concat([toBytes(`${FIELDS.id}.${FIELDS.timestamp}.`), body]);
  return verify(null, content, key, Buffer.from(signature.replace(/^v1a,/, ""), "base64"));
}

const EVERY_BYTE = new Uint8Array(Array.from({ length: 256 }, (_, byte) => byte));
const BODIES: readonly [string, Uint8Array][] = [
  ["JSON", toBytes(BODY)],
  ["characters outside of ASCII", toBytes('{"name":"Jos\u00e9 \u20ac \u{1f980}"}')],
  ["nothing", new Uint8Array(0)],
  ["every byte", EVERY_BYTE],
  ["a part of a larger buffer", EVERY_BYTE.subarray(100, 110)],
  ["a megabyte", new Uint8Array(1024 * 1024).fill(0xa5)],
];

describe("createSigner()", () => {
  test("createSigner() gives none without keys", () => {
    expect(createSigner([])).toBeNull();
  });

  test("createSigner() gives the signatures that the specification's own tests expect", () => {
    expect(signed([hmacKey(HMAC_KEY)], toBytes(BODY))).toBe(HMAC_SIGNATURE);
    expect(signed([ED25519], toBytes(BODY))).toBe(ED25519_SIGNATURE);
  });

  test("createSigner() gives one signature for each key, in their order, a space between", () => {
    const both = signed([ED25519, hmacKey(HMAC_KEY), ED25519], toBytes(BODY));
    expect(both).toBe(`${ED25519_SIGNATURE} ${HMAC_SIGNATURE} ${ED25519_SIGNATURE}`);
  });

  test.each(BODIES)("createSigner() signs the bytes of a body of %s with HMAC-SHA256", (_what, body) => {
    const content = Buffer.concat([toBytes(`${FIELDS.id}.${FIELDS.timestamp}.`), body]);
    const expected = createHmac("sha256", Buffer.from(HMAC_KEY, "base64")).update(content).digest("base64");
    expect(signed([hmacKey(HMAC_KEY)], body)).toBe(`v1,${expected}`);
  });

  test.each(BODIES)("createSigner() signs the bytes of a body of %s with ed25519", (_what, body) => {
    const signature = signed([ED25519], body);
    expect(isVerified(signature, body)).toBe(true);
    expect(isVerified(signature, Buffer.concat([body, toBytes("x")]))).toBe(false);
  });

  test.each([
    ["JSON", BODY],
    ["characters outside of ASCII", '{"name":"Jos\u00e9 \u20ac \u{1f980}"}'],
    ["nothing", ""],
  ])("createSigner() satisfies the library of the specification with a body of %s", (_what, body) => {
    const fields = { id: "msg_ORDERS_42_abc", timestamp: String(Math.floor(Date.now() / 1000)) };
    const headers = {
      "webhook-id": fields.id,
      "webhook-timestamp": fields.timestamp,
      "webhook-signature": signed([hmacKey(HMAC_KEY)], toBytes(body), fields),
    };
    const webhook = new Webhook(`whsec_${HMAC_KEY}`);
    expect(() => webhook.verify(body, headers)).not.toThrow();
    expect(() => webhook.verify(`${body}x`, headers)).toThrow("No matching signature");
    expect(() => webhook.verify(body, { ...headers, "webhook-id": "msg_other" })).toThrow(
      "No matching signature",
    );
  });

  test("createSigner() lets receivers change keys at their own pace while both are in use", () => {
    const [old, next] = [new Uint8Array(24).fill(1), new Uint8Array(64).fill(2)];
    const timestamp = String(Math.floor(Date.now() / 1000));
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": timestamp,
      "webhook-signature": signed([hmacKey(old), ED25519, hmacKey(next)], toBytes(BODY), {
        id: "msg_1",
        timestamp,
      }),
    };
    for (const known of [old, next])
      expect(new Webhook(known, { format: "raw" }).verify(BODY, headers)).toEqual(JSON.parse(BODY));
    const foreign = new Webhook(new Uint8Array(24).fill(3), { format: "raw" });
    expect(() => foreign.verify(BODY, headers)).toThrow("No matching signature");
  });
});
