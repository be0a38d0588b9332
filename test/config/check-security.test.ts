// Faults of a subscription's auth, ssl and signature.

import { expect, test } from "bun:test";
import { faultsOf, withDelivery, type Json } from "./parse-for-test.ts";

const D = "subscriptions[0].configuration";
const auth = (type: string, more: Json) => withDelivery({ auth: { type, [type]: more } });
const jwt = (more: Json) =>
  auth("jwtProfileOauth2", {
    issuer: "i",
    subject: "s",
    audience: "https://auth.example.com/",
    signatureAlgorithm: "HMAC_HS256",
    keySource: "INLINE",
    keyContent: "a secret of 32 bytes, as it must",
    ...more,
  });

test.each<[string, unknown, readonly string[]]>([
  [
    "a token endpoint that is no URL",
    auth("oauth2", { endpoint: "auth.example.com", clientId: "c", clientSecret: "s" }),
    [`${D}.auth.oauth2.endpoint: allowed: a URL that begins with http:// or https://`],
  ],
  [
    "a keystore for an HMAC",
    jwt({ keySource: "PKCS12", keyContent: "/keys/a.p12" }),
    [`${D}.auth.jwtProfileOauth2.keySource: PKCS12 is for RSA only, allowed: INLINE`],
  ],
  [
    "an audience that cannot stand in for the endpoint",
    jwt({ audience: "relay" }),
    [
      `${D}.auth.jwtProfileOauth2.audience: allowed: a URL that begins with http:// or https://, or an endpoint beside it`,
    ],
  ],
  [
    "a trust store given twice, and a key store without a certificate",
    withDelivery({
      ssl: {
        trustStore: { type: "PEM", path: "/ca.pem", content: "x" },
        keyStore: { type: "PEM", keyPath: "/key.pem" },
      },
    }),
    [
      `${D}.ssl.trustStore.content: excluded by path: give one of them`,
      `${D}.ssl.keyStore.certPath: missing, this or certContent`,
      `${D}.ssl.keyStore.keyPath: cannot read /key.pem: no such file`,
    ],
  ],
  [
    "a signature key that is too short",
    withDelivery({ signature: { secrets: ["whsec_c2hvcnQ="] } }),
    [
      `${D}.signature.secrets[0]: allowed: whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes in base64`,
    ],
  ],
])("checkCallbackSecurity() reports %s", (_, file, expected) => {
  expect(faultsOf(file)).toEqual([...expected]);
});
