// Key stores of either format, opened as their bytes say: what is in them, and why one stays closed.

import { expect, test } from "bun:test";
import { createIterationBudget } from "#keystore/budget.ts";
import { openKeyStore } from "#keystore/open.ts";
import { EC_KEY } from "../config/pem-fixtures.ts";
import {
  JKS,
  KEY_PASSWORD,
  LEGACY_PKCS12,
  MODERN_PKCS12,
  STORE_PASSWORD,
  TRUST_JKS,
  TRUST_PKCS12,
} from "../config/store-fixtures.ts";

const toBytes = (base64: string) => Buffer.from(base64, "base64");

function open(bytes: Buffer, password: string) {
  return openKeyStore(bytes, password, createIterationBudget([], new AbortController().signal));
}

async function opened(base64: string) {
  const store = await open(toBytes(base64), STORE_PASSWORD);
  if (store.kind !== "opened") throw new Error(`It is ${store.kind}`);
  return store.value;
}

test.each([
  ["PKCS12 of today", MODERN_PKCS12, ["client"]],
  ["PKCS12 of old", LEGACY_PKCS12, ["1"]],
  ["JKS", JKS, ["ec", "rsa"]],
  ["PKCS12 without a key", TRUST_PKCS12, []],
  ["JKS without a key", TRUST_JKS, []],
])("openKeyStore() opens %s, with its keys by their aliases", async (_, base64, aliases) => {
  const { keys, certificates } = await opened(base64);
  expect(keys.map(({ alias }) => alias).toSorted()).toEqual(aliases);
  expect(certificates.length).toBeGreaterThan(0);
});

test("openKeyStore() unlocks a key with the password of the key only", async () => {
  const key = (await opened(JKS)).keys.find(({ alias }) => alias === "ec");
  expect(await key?.unlock(STORE_PASSWORD)).toEqual({ kind: "locked" });
  const unlocked = await key?.unlock(KEY_PASSWORD);
  if (unlocked?.kind !== "opened") throw new Error("It is not opened");
  expect(unlocked.value.export({ type: "pkcs8", format: "pem" })).toBe(EC_KEY);
});

test.each([
  ["PKCS12 of today", MODERN_PKCS12],
  ["PKCS12 of old", LEGACY_PKCS12],
  ["JKS", JKS],
])("openKeyStore() tells another password: %s", async (_, base64) => {
  expect(await open(toBytes(base64), "another-password")).toEqual({ kind: "locked" });
});

test.each([
  ["nothing", Buffer.alloc(0), "it is neither PKCS12 nor JKS"],
  ["a text", Buffer.from("-----BEGIN"), "it is neither PKCS12 nor JKS"],
  ["JCEKS", Buffer.from("cececece00000002", "hex"), "JCEKS is not supported, allowed: PKCS12 or JKS"],
  ["half a PKCS12 store", toBytes(MODERN_PKCS12).subarray(0, 900), "it is damaged"],
  ["half a JKS store", toBytes(JKS).subarray(0, 900), "it is damaged"],
])("openKeyStore() says why it cannot read %s", async (_, bytes, reason) => {
  expect(await open(bytes, STORE_PASSWORD)).toEqual({ kind: "unreadable", reason });
});
