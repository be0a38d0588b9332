// The JWT that asks for a token: what it claims, and who can verify it.

import { describe, expect, test } from "bun:test";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, jwtVerify } from "jose";

import { signAssertion } from "#callback/assertion.ts";
import { toAssertion } from "./assertions.ts";
import { TEST_CERT } from "./test-certificate.ts";

const NOW = { nowMs: 1_700_000_000_900, randomId: "random-id" };
const SECRET = Buffer.from("a secret of 64 characters, which is what the longest hash asks for");

describe("signAssertion()", () => {
  test("signAssertion() claims who asks whom, from when, until when, with an id", async () => {
    const jwt = await signAssertion(toAssertion({ lifetimeMs: 90_000 }), NOW);
    expect(decodeJwt(jwt)).toEqual({
      iss: "relay",
      sub: "device-7",
      aud: "https://as.example/token",
      iat: 1_700_000_000,
      exp: 1_700_000_090,
      jti: "random-id",
    });
    expect(decodeProtectedHeader(jwt)).toEqual({ alg: "HS256", typ: "JWT" });
  });

  test("signAssertion() names the key and the id that the settings name", async () => {
    const jwt = await signAssertion(toAssertion({ keyId: "key-1", jwtId: "id-1" }), NOW);
    expect(decodeProtectedHeader(jwt).kid).toBe("key-1");
    expect(decodeJwt(jwt).jti).toBe("id-1");
  });

  test("signAssertion() adds custom claims, which replace no registered one", async () => {
    const customClaims = [
      ["tenant", "north"],
      ["__proto__", "odd"],
      ...["iss", "sub", "aud", "iat", "exp", "jti"].map((name) => [name, "forged"] as const),
    ] as const;
    const claims = decodeJwt(await signAssertion(toAssertion({ customClaims }), NOW));
    expect(claims["tenant"]).toBe("north");
    expect(Object.entries(claims)).toContainEqual(["__proto__", "odd"]);
    expect(JSON.stringify(claims)).not.toContain("forged");
  });

  test("signAssertion() sends the chain as DER in base64, the signer's certificate first", async () => {
    const bundle = `subject=/CN=somebody\n${TEST_CERT.replaceAll("\n", "\r\n")}`;
    const { x5c } = decodeProtectedHeader(
      await signAssertion(toAssertion({ chain: [bundle, TEST_CERT] }), NOW),
    );
    const der = new X509Certificate(TEST_CERT).raw.toString("base64");
    expect(x5c).toEqual([der, der]);
  });

  test.each(["HS256", "HS384", "HS512"] as const)("signAssertion() signs by %s", async (algorithm) => {
    const jwt = await signAssertion(toAssertion({ algorithm, key: { kind: "hmac", secret: SECRET } }), NOW);
    const { protectedHeader } = await jwtVerify(jwt, SECRET, { currentDate: new Date(NOW.nowMs) });
    expect(protectedHeader.alg).toBe(algorithm);
  });

  test("signAssertion() signs by RS256", async () => {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    const jwt = await signAssertion(toAssertion({ algorithm: "RS256", key: { kind: "rsa", pem } }), NOW);
    const options = { currentDate: new Date(NOW.nowMs), algorithms: ["RS256"] };
    expect((await jwtVerify(jwt, publicKey, options)).payload.sub).toBe("device-7");
  });

  test("signAssertion() rejects a key that is none", async () => {
    const settings = toAssertion({ algorithm: "RS256", key: { kind: "rsa", pem: "garbage" } });
    expect(await signAssertion(settings, NOW).catch(() => "rejected")).toBe("rejected");
  });
});
