// What is warned of: certificates and tokens that end, and TLS that checks less than it could.

import { expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT, UnsecuredJWT } from "jose";
import { createCertificates } from "../support/tls.ts";
import { type Json, warningsOf, withDelivery } from "./parse-for-test.ts";
import { EC_CERTIFICATE, EC_KEY, ISSUER, ROOT, RSA_CERTIFICATE, RSA_KEY } from "./pem-fixtures.ts";

const C = "subscriptions[0].configuration";
/** The fixtures end on 2126-10-28. */
const SOON = new Date("2126-10-01T00:00:00Z");
const LATER = new Date("2126-11-01T00:00:00Z");
const NOW = new Date("2026-01-01T12:00:00Z");
const trust = (content: string) => withDelivery({ ssl: { trustStore: { type: "PEM", content } } });
const keys = (certContent: string) =>
  withDelivery({ ssl: { keyStore: { type: "PEM", keyContent: EC_KEY, certContent } } });
const jwt = (x509CertChain: string) =>
  withDelivery({
    auth: {
      type: "jwtProfileOauth2",
      jwtProfileOauth2: {
        issuer: "i",
        subject: "s",
        audience: "https://auth.example.com/",
        signatureAlgorithm: "RSA_RS256",
        keySource: "PEM",
        keyContent: `${RSA_KEY}${RSA_CERTIFICATE}`,
        x509CertChain,
      },
    },
  });
const token = (value: string) => withDelivery({ auth: { type: "token", token: { value } } });
const expiringIn = (file: Json, now: Date) => warningsOf(file, { now });
const unsigned = (expiresAt: Date) => new UnsecuredJWT({}).setExpirationTime(expiresAt).encode();

test.each<[string, Json, Date, readonly string[]]>([
  ["nothing that holds for years", trust(ROOT), NOW, []],
  ["nothing that holds for 31 days", trust(ROOT), new Date("2126-09-27T00:00:00Z"), []],
  [
    "a trusted certificate that ends soon",
    trust(ROOT),
    SOON,
    [`${C}.ssl.trustStore: the certificate of CN=Relay root ends on 2126-10-28`],
  ],
  [
    "each certificate of a key store that has ended",
    keys(`${EC_CERTIFICATE}${ISSUER}`),
    LATER,
    [
      `${C}.ssl.keyStore: the certificate of O=Relay, CN=ec client ended on 2126-10-28`,
      `${C}.ssl.keyStore: the certificate of CN=Relay issuer ended on 2126-10-28`,
    ],
  ],
  [
    "a certificate that is sent with an assertion",
    jwt("X5C"),
    LATER,
    [`${C}.auth.jwtProfileOauth2: the certificate of O=Relay, CN=rsa client ended on 2126-10-28`],
  ],
  ["no certificate that is not sent", jwt("NONE"), LATER, []],
])("certificateWarnings() names %s", async (_, file, now, expected) => {
  expect([...(await expiringIn(file, now))].sort()).toEqual([...expected].sort());
});

test("certificateWarnings() warns once of a store that several subscriptions share", async () => {
  const { subscriptions } = trust(ROOT) as { subscriptions: readonly Json[] };
  const file = { ...trust(ROOT), subscriptions: [...subscriptions, { ...subscriptions[0], id: "b" }] };
  expect(await expiringIn(file, LATER)).toHaveLength(1);
});

test("certificateWarnings() has at most five lines for each store", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-expiry-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  const { issue } = await createCertificates(directory);
  const bundle = [1, 2, 3, 4, 5, 6].map((number) => issue(`host ${number}`, {}).cert).join("");
  expect(await expiringIn(trust(`${ROOT}${bundle}`), new Date())).toHaveLength(5);
});

test.each<[string, string, readonly string[]]>([
  ["nothing of a token that is no JWT", "an-opaque-token", []],
  ["nothing of a JWT without an end", new UnsecuredJWT({}).encode(), []],
  ["nothing of a JWT that holds for a while", unsigned(new Date("2026-01-01T13:00:01Z")), []],
  [
    "a JWT that expires within the hour",
    unsigned(new Date("2026-01-01T13:00:00Z")),
    [`${C}.auth.token.value: the token expires at 2026-01-01T13:00:00.000Z`],
  ],
  [
    "a JWT that has expired",
    unsigned(new Date("2026-01-01T12:00:00Z")),
    [`${C}.auth.token.value: the token expired at 2026-01-01T12:00:00.000Z`],
  ],
  [
    "a signed JWT",
    await new SignJWT({}).setProtectedHeader({ alg: "HS256" }).setExpirationTime(1).sign(new Uint8Array(32)),
    [`${C}.auth.token.value: the token expired at 1970-01-01T00:00:01.000Z`],
  ],
  [
    "a token that begins with a scheme, and when it expires",
    ` bearer ${unsigned(new Date("2026-01-01T12:00:00Z"))}`,
    [
      `${C}.auth.token.value: it begins with bearer, and is sent as "Bearer bearer …": give the token alone`,
      `${C}.auth.token.value: the token expired at 2026-01-01T12:00:00.000Z`,
    ],
  ],
  ["nothing of a token that only resembles it", "bearer-abc", []],
])("tokenWarnings() names %s", async (_, value, expected) => {
  expect(await expiringIn(token(value), NOW)).toEqual([...expected]);
});

test("loadStores() warns of TLS that checks less", async () => {
  expect(await expiringIn(withDelivery({ ssl: { trustAll: true, hostnameVerifier: false } }), NOW)).toEqual([
    `${C}.ssl.trustAll: it accepts any certificate`,
    `${C}.ssl.hostnameVerifier: it accepts a certificate that is for another host`,
  ]);
  expect(await expiringIn(withDelivery({ ssl: { trustAll: false, hostnameVerifier: true } }), NOW)).toEqual(
    [],
  );
});
