// Stores of the file: what TLS gets to trust, what is at fault, what is looked up.

import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { configOf, EMPTY_CONTEXT, faultsOf, type Json, withDelivery } from "./parse-for-test.ts";
import { EC_KEY, ISSUER, ROOT } from "./pem-fixtures.ts";
import {
  JKS,
  LEGACY_PKCS12,
  MODERN_PKCS12,
  STORE_PASSWORD,
  TRUST_JKS,
  TRUST_PKCS12,
} from "./store-fixtures.ts";

const SSL = "subscriptions[0].configuration.ssl";
const password = STORE_PASSWORD;
const trust = (trustStore: Json) => withDelivery({ ssl: { trustStore } });
const keys = (keyStore: Json) => withDelivery({ ssl: { keyStore } });
const tlsOf = async (file: Json, context = {}) =>
  (await configOf(file, context)).subscriptions[0]?.callback.route.tls;
const nameOf = (pem: string) =>
  new X509Certificate(pem).subject.split("\n").find((line) => line.startsWith("CN="));
const files = (texts: Readonly<Record<string, string | Buffer>>) => ({
  readBytes: (path: string) => {
    const text = texts[path];
    return text === undefined ? EMPTY_CONTEXT.readBytes(path) : Buffer.from(text);
  },
});

test.each<[string, Json, readonly string[]]>([
  ["one certificate", { type: "PEM", content: ROOT }, ["CN=Relay root"]],
  [
    "a bundle with words between, each once",
    { type: "PEM", content: `the root\n${ROOT}\nthe issuer\r\n${ISSUER.replaceAll("\n", "\r\n")}${ROOT}` },
    ["CN=Relay root", "CN=Relay issuer"],
  ],
  ["PKCS12", { type: "PKCS12", content: TRUST_PKCS12, password }, ["CN=Relay root", "CN=Relay issuer"]],
  ["JKS", { type: "JKS", content: TRUST_JKS, password }, ["CN=Relay root", "CN=Relay issuer"]],
  [
    "PKCS12 under the name of JKS",
    { type: "JKS", content: TRUST_PKCS12, password },
    ["CN=Relay root", "CN=Relay issuer"],
  ],
])("loadStores() trusts %s", async (_, store, expected) => {
  const trusted = (await tlsOf(trust(store)))?.trusted ?? [];
  expect(new Set(trusted.map(nameOf))).toEqual(new Set(expected));
  expect(trusted).toHaveLength(expected.length);
  createSecureContext({ ca: [...trusted] });
});

test("loadStores() reads files relative to the config file, PKCS12 as bytes", async () => {
  const context = files({
    "/home/relay/ca.pem": ROOT,
    "/stores/client.p12": Buffer.from(MODERN_PKCS12, "base64"),
  });
  const tls = await tlsOf(
    withDelivery({
      ssl: {
        trustStore: { type: "PEM", path: "ca.pem" },
        keyStore: { type: "PKCS12", path: "/stores/client.p12", password },
      },
    }),
    context,
  );
  expect(tls?.trusted).toEqual([ROOT]);
  expect(tls?.identity?.chain).toHaveLength(3);
});

test("loadStores() reads stores below entrypointConfiguration, and reports faults there", async () => {
  const nested = (ssl: Json) => ({
    ...withDelivery({}),
    subscriptions: [
      {
        configuration: {
          entrypointId: "webhook",
          entrypointConfiguration: { callbackUrl: "https://h/", ssl },
        },
      },
    ],
  });
  expect((await tlsOf(nested({ trustStore: { type: "PEM", content: ROOT } })))?.trusted).toEqual([ROOT]);
  expect(await faultsOf(nested({ trustStore: { type: "PEM", content: "" } }))).toEqual([
    "subscriptions[0].configuration.entrypointConfiguration.ssl.trustStore.content: it holds no certificate in PEM",
  ]);
});

const DAMAGED_CERTIFICATE = ROOT.replace(/\n.{20}/u, "\nAAAAAAAAAAAAAAAAAAAA");
const DAMAGED_PKCS12 = Buffer.from(MODERN_PKCS12, "base64").subarray(0, 500).toString("base64");

test.each<[string, Json, readonly string[]]>([
  ["that is empty", { type: "PEM", content: "" }, ["content: it holds no certificate in PEM"]],
  ["that is garbage", { type: "PEM", content: "garbage" }, ["content: it holds no certificate in PEM"]],
  [
    "with a damaged certificate",
    { type: "PEM", content: DAMAGED_CERTIFICATE },
    ["content: cannot read the certificate in it"],
  ],
  [
    "with one damaged certificate among others",
    { type: "PEM", content: `${ISSUER}${DAMAGED_CERTIFICATE}` },
    ["content: cannot read the certificate 2 of 2 in it"],
  ],
  [
    "with a certificate that has no end",
    { type: "PEM", content: `${ISSUER}${ROOT.slice(0, 200)}` },
    ["content: cannot read the certificate 2 of 2 in it"],
  ],
  [
    "whose file is not there",
    { type: "PEM", path: "ca.pem" },
    ["path: cannot read /home/relay/ca.pem: no such file"],
  ],
  [
    "in PKCS12 with a wrong password",
    { type: "PKCS12", content: TRUST_PKCS12, password: "wrong-password" },
    ["password: it is not the password of the store"],
  ],
  [
    "in old PKCS12 with a wrong password",
    { type: "PKCS12", content: LEGACY_PKCS12, password: "wrong-password" },
    ["password: it is not the password of the store"],
  ],
  [
    "in JKS with a wrong password",
    { type: "JKS", content: TRUST_JKS, password: "wrong-password" },
    ["password: it is not the password of the store"],
  ],
  [
    "that is no base64",
    { type: "PKCS12", content: "no base64!", password },
    ["content: allowed: the store in base64"],
  ],
  [
    "that is base64 of something else",
    { type: "JKS", content: "Z2FyYmFnZQ==", password },
    ["content: cannot read the store: it is neither PKCS12 nor JKS"],
  ],
  [
    "that is cut off",
    { type: "PKCS12", content: DAMAGED_PKCS12, password },
    ["content: cannot read the store: it is damaged"],
  ],
  [
    "of JCEKS",
    { type: "JKS", content: "zs7OzgAAAAI=", password },
    ["content: cannot read the store: JCEKS is not supported, allowed: PKCS12 or JKS"],
  ],
])("loadStores() reports a trust store %s", async (_, store, expected) => {
  expect(await faultsOf(trust(store))).toEqual(expected.map((line) => `${SSL}.trustStore.${line}`));
});

test("loadStores() skips parts with reported faults, and reads nothing without secrets", async () => {
  const store = { type: "PKCS12", content: MODERN_PKCS12, password: 7 };
  expect(await faultsOf(keys(store))).toHaveLength(1);
  expect(await faultsOf(keys({ ...store, password: { env: "UNSET" } }))).toEqual([
    `${SSL}.keyStore.password: the environment variable UNSET is not set`,
  ]);
  const tls = await tlsOf(keys({ type: "PKCS12", path: "client.p12", password: { env: "UNSET" } }), {
    withoutSecrets: true,
  });
  expect(tls).toEqual({ trusted: null, identity: null, verifiesCertificate: true, verifiesHostName: true });
});

test("loadStores() reads a store once that many subscriptions name", async () => {
  let reads = 0;
  const readBytes = () => {
    reads += 1;
    return Buffer.from(ROOT);
  };
  const ssl = { trustStore: { type: "PEM", path: "ca.pem" } };
  const [one] = (withDelivery({ ssl }) as { subscriptions: readonly Json[] }).subscriptions;
  const file = { ...withDelivery({}), subscriptions: [one, { ...one, id: "b" }] };
  const { subscriptions } = await configOf(file, { readBytes });
  expect(subscriptions.map(({ callback }) => callback.route.tls.trusted)).toEqual([[ROOT], [ROOT]]);
  expect(reads).toBe(1);
});

test("loadStores() distinguishes a faulty part from an absent one", async () => {
  const of = (id: string, more: Json) => ({
    ...(keys({ type: "JKS", content: JKS, password, ...more }) as { subscriptions: readonly Json[] })
      .subscriptions[0],
    id,
  });
  const file = { ...withDelivery({}), subscriptions: [of("a", { alias: 7 }), of("b", {})] };
  const faults = await faultsOf(file);
  expect(faults).toHaveLength(2);
  expect(faults[1]).toStartWith("subscriptions[1].configuration.ssl.keyStore.alias: missing");
});

test("loadStores() shows no password and no key in its faults", async () => {
  const wrong = { type: "JKS", content: JKS, password: "wrong-password", alias: "ec", keyPassword: "other" };
  const report = [
    ...(await faultsOf(keys(wrong))),
    ...(await faultsOf(trust({ type: "PEM", content: EC_KEY }))),
  ].join("\n");
  expect(report).not.toContain("wrong-password");
  expect(report).not.toContain(EC_KEY.split("\n")[1] ?? "");
});
