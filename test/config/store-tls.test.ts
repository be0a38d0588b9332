// Key stores of the file: which key and chain TLS gets, what is at fault, what is kept out of sight.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { configOf, faultsOf, type Json, withDelivery } from "./parse-for-test.ts";
import {
  EC_CERTIFICATE,
  EC_KEY,
  ENCRYPTED_KEY,
  ISSUER,
  OLD_ENCRYPTED_KEY,
  ROOT,
  RSA_CERTIFICATE,
  RSA_KEY,
  RSA_KEY_PKCS1,
} from "./pem-fixtures.ts";
import {
  JKS,
  KEY_PASSWORD,
  KEYTOOL_PKCS12,
  LEGACY_PKCS12,
  MODERN_PKCS12,
  RENEWED_PKCS12,
  STORE_PASSWORD,
  TRUST_PKCS12,
} from "./store-fixtures.ts";

const KEY_STORE = "subscriptions[0].configuration.ssl.keyStore";
const EC_CHAIN = ["CN=ec client", "CN=Relay issuer"];
const RSA_CHAIN = ["CN=rsa client", "CN=Relay issuer"];
const password = STORE_PASSWORD;
const keys = (keyStore: Json) => withDelivery({ ssl: { keyStore } });
const identityOf = async (store: Json) =>
  (await configOf(keys(store))).subscriptions[0]?.callback.route.tls.identity;
const nameOf = (pem: string) =>
  new X509Certificate(pem).subject.split("\n").find((line) => line.startsWith("CN="));

test.each<[string, Json, readonly string[]]>([
  [
    "PEM, RSA in PKCS#1",
    { type: "PEM", keyContent: RSA_KEY_PKCS1, certContent: RSA_CERTIFICATE },
    ["CN=rsa client"],
  ],
  [
    "PEM, EC, the chain in any order and the root twice",
    {
      type: "PEM",
      keyContent: EC_KEY,
      certContent: `${ROOT}${ISSUER}${RSA_CERTIFICATE}${EC_CERTIFICATE}${ROOT}`,
    },
    [...EC_CHAIN, "CN=Relay root"],
  ],
  [
    "PKCS12 by openssl, EC",
    { type: "PKCS12", content: MODERN_PKCS12, password },
    [...EC_CHAIN, "CN=Relay root"],
  ],
  ["PKCS12 by openssl -legacy, RSA", { type: "PKCS12", content: LEGACY_PKCS12, password }, RSA_CHAIN],
  [
    "the nameless key of a PKCS12",
    { type: "PKCS12", content: LEGACY_PKCS12, password, alias: "1" },
    RSA_CHAIN,
  ],
  ["PKCS12 by keytool, RSA", { type: "PKCS12", content: KEYTOOL_PKCS12, password, alias: "rsa" }, RSA_CHAIN],
  [
    "PKCS12 by keytool, EC, by an alias in capitals",
    { type: "PKCS12", content: KEYTOOL_PKCS12, password, alias: "EC" },
    EC_CHAIN,
  ],
  [
    "PKCS12, the older of two certificates of a key",
    { type: "PKCS12", content: RENEWED_PKCS12, password, alias: "ec" },
    ["CN=ec client"],
  ],
  [
    "PKCS12, the newer of two certificates of a key",
    { type: "PKCS12", content: RENEWED_PKCS12, password, alias: "renewed" },
    ["CN=ec client renewed"],
  ],
  ["JKS, RSA", { type: "JKS", content: JKS, password, alias: "rsa" }, RSA_CHAIN],
  [
    "JKS, EC with a password of its own",
    { type: "JKS", content: JKS, password, alias: "ec", keyPassword: KEY_PASSWORD },
    EC_CHAIN,
  ],
])("loadStores() takes an identity from %s", async (_, store, expected) => {
  const identity = await identityOf(store);
  expect(identity?.key).toStartWith("-----BEGIN PRIVATE KEY-----\n");
  expect(identity?.chain.map(nameOf)).toEqual([...expected]);
  createSecureContext({ key: identity?.key, cert: identity?.chain.join("") });
});

test.each<[string, Json, readonly string[]]>([
  [
    "whose key is encrypted",
    { type: "PEM", keyContent: ENCRYPTED_KEY, certContent: EC_CERTIFICATE },
    ["keyContent: the key is encrypted, allowed: a key without a password, or a PKCS12 or JKS store"],
  ],
  [
    "whose key is encrypted as before PKCS#8",
    { type: "PEM", keyContent: OLD_ENCRYPTED_KEY, certContent: EC_CERTIFICATE },
    ["keyContent: the key is encrypted, allowed: a key without a password, or a PKCS12 or JKS store"],
  ],
  [
    "with two keys in PEM",
    { type: "PEM", keyContent: `${EC_KEY}${RSA_KEY}`, certContent: EC_CERTIFICATE },
    ["keyContent: it holds 2 private keys, allowed: one"],
  ],
  [
    "whose certificate is of another key",
    { type: "PEM", keyContent: EC_KEY, certContent: RSA_CERTIFICATE },
    ["certContent: it holds no certificate that belongs to the key"],
  ],
  [
    "without key and certificate, both at once",
    { type: "PEM", keyContent: "garbage", certPath: "none.pem" },
    [
      "keyContent: it holds no private key in PEM",
      "certPath: cannot read /home/relay/none.pem: no such file",
    ],
  ],
  [
    "with several keys and no alias",
    { type: "JKS", content: JKS, password },
    ['alias: missing, because the store holds 2 keys: "ec", "rsa"'],
  ],
  [
    "with an alias that nothing has",
    { type: "JKS", content: JKS, password, alias: "root" },
    ['alias: no key is named "root", known: "ec", "rsa"'],
  ],
  [
    "with a misspelt alias",
    { type: "PKCS12", content: MODERN_PKCS12, password, alias: "cleint" },
    ['alias: no key is named "cleint"; did you mean "client"?'],
  ],
  [
    "without a key",
    { type: "PKCS12", content: TRUST_PKCS12, password },
    ["content: the store holds no private key"],
  ],
  [
    "whose key has another password",
    { type: "JKS", content: JKS, password, alias: "ec" },
    ["keyPassword: missing, because the key has another password than the store"],
  ],
  [
    "whose key has yet another password",
    { type: "JKS", content: JKS, password, alias: "ec", keyPassword: "wrong-password" },
    ["keyPassword: it is not the password of the key"],
  ],
  [
    "whose PKCS12 key has another password",
    { type: "PKCS12", content: MODERN_PKCS12, password, keyPassword: "wrong-password" },
    ["keyPassword: it is not the password of the key"],
  ],
])("loadStores() reports a key store %s", async (_, store, expected) => {
  expect(await faultsOf(keys(store))).toEqual(expected.map((line) => `${KEY_STORE}.${line}`));
});

test("loadStores() does not show an alias that is given by reference", async () => {
  const store = { type: "PKCS12", content: MODERN_PKCS12, password, alias: { env: "ALIAS" } };
  expect(await faultsOf(keys(store), { env: { ALIAS: "hidden-alias" } })).toEqual([
    `${KEY_STORE}.alias: no key is named "***", known: "client"`,
  ]);
});
