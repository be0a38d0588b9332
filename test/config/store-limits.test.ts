// Hostile stores cost little: too many iterations, too many bytes, and damage at any place are refused.

import { expect, test } from "bun:test";
import forge from "node-forge";
import { faultsOf, withDelivery } from "./parse-for-test.ts";
import { ROOT } from "./pem-fixtures.ts";
import { JKS, LEGACY_PKCS12, MODERN_PKCS12, STORE_PASSWORD } from "./store-fixtures.ts";

type Asn1 = forge.asn1.Asn1;
const { asn1 } = forge;
const TRUST = "subscriptions[0].configuration.ssl.trustStore";
const bytesOf = (base64: string) => Buffer.from(base64, "base64");
const trustFaults = async (content: Buffer, password = STORE_PASSWORD) =>
  await faultsOf(
    withDelivery({ ssl: { trustStore: { type: "PKCS12", content: content.toString("base64"), password } } }),
  );

function partAt(value: Asn1, ...places: readonly number[]): Asn1 {
  return places.reduce((outer, place) => {
    const part = Array.isArray(outer.value) ? outer.value[place] : undefined;
    if (part === undefined) throw new Error(`Nothing at ${places.join(".")}`);
    return part;
  }, value);
}

/** The modern store, changed and without its check of the password unless `isChecked`. */
function changed(change: (file: Asn1, safe: Asn1) => void, { isChecked }: { isChecked: boolean }): Buffer {
  const file = asn1.fromDer(bytesOf(MODERN_PKCS12).toString("latin1"));
  const content = partAt(file, 1, 1, 0);
  const safe = asn1.fromDer(content.value as string);
  change(file, safe);
  content.value = asn1.toDer(safe).getBytes();
  if (!isChecked) (file.value as Asn1[]).length = 2;
  return Buffer.from(asn1.toDer(file).getBytes(), "latin1");
}

const TOO_MANY = asn1.integerToDer(0x7fffffff).getBytes();
/** From the safe to the iterations of its first, encrypted part. */
const CIPHER_ITERATIONS = [0, 1, 0, 1, 1, 1, 0, 1, 1];

test.each([
  [
    "the check of the password",
    changed((file) => void (partAt(file, 2, 2).value = TOO_MANY), { isChecked: true }),
  ],
  [
    "the encryption",
    changed((_, safe) => void (partAt(safe, ...CIPHER_ITERATIONS).value = TOO_MANY), { isChecked: false }),
  ],
])("openPkcs12() refuses too many iterations for %s", async (_, content) => {
  expect(await trustFaults(content)).toEqual([
    `${TRUST}.content: cannot read the store: its passwords take too many iterations: those of the file may take 60000000 in all`,
  ]);
});

test("openPkcs12() detects a wrong password in a store without a MAC", async () => {
  const content = changed(() => {}, { isChecked: false });
  expect(await trustFaults(content)).toEqual([]);
  expect(await trustFaults(content, "wrong")).toEqual([
    `${TRUST}.password: it is not the password of the store`,
  ]);
});

test.each([
  ["PKCS12", MODERN_PKCS12],
  ["old PKCS12", LEGACY_PKCS12],
  ["JKS", JKS],
])("loadStores() survives damage anywhere in %s", async (_, store) => {
  const bytes = bytesOf(store);
  const key = { type: "PKCS12", password: STORE_PASSWORD, alias: "rsa" };
  for (let place = 0; place < bytes.length; place += 61) {
    const damaged = Buffer.from(bytes);
    damaged[place] = (damaged[place] ?? 0) ^ 0x55;
    const content = damaged.toString("base64");
    const faults = await faultsOf(withDelivery({ ssl: { keyStore: { ...key, content } } }));
    expect(faults.every((fault) => fault.length < 300)).toBe(true);
    expect(await trustFaults(damaged.subarray(0, bytes.length - 1))).not.toEqual([]);
  }
});

test("loadStores() refuses a store that is too large", async () => {
  const content = `${ROOT}${" ".repeat(2 * 1024 * 1024)}`;
  expect(await faultsOf(withDelivery({ ssl: { trustStore: { type: "PEM", content } } }))).toEqual([
    `${TRUST}.content: it is larger than 1048576 bytes`,
  ]);
});

test("readCertificates() takes linear time for a bundle without end markers", async () => {
  const content = "-----BEGIN CERTIFICATE-----".repeat(30_000);
  expect(await faultsOf(withDelivery({ ssl: { trustStore: { type: "PEM", content } } }))).toEqual([
    `${TRUST}.content: cannot read the certificate 1 of 30000 in it`,
  ]);
});
