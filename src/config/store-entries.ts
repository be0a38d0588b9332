// Opens a PKCS12 or JKS store that the config names, and takes the chosen key out of it.

import type { KeyObject, X509Certificate } from "node:crypto";
import type { IterationBudget } from "#keystore/budget.ts";
import { orderChain } from "#keystore/keys.ts";
import { openKeyStore } from "#keystore/open.ts";
import type { KeyStore, StoredKey } from "#keystore/opened.ts";
import { describeFault } from "#schema/issue.ts";
import { unknownName } from "#schema/nearest.ts";
import { faulty, type Given, read, type Reading } from "./store-reading.ts";

export interface StoreIdentity {
  readonly key: KeyObject;
  /** The certificate of the key, then its issuers in order. */
  readonly chain: readonly X509Certificate[];
}

/** Which key of the store, and its passwords. A `value` of null: the config does not set it. */
interface KeyChoice {
  readonly alias: Given<string | null>;
  /** False: the alias is given by reference, and may be a secret. */
  readonly isAliasShown: boolean;
  readonly password: Given<string | null>;
  readonly keyPassword: Given<string | null>;
}

const MAX_ALIASES = 12;

export async function openStore(
  source: Given<Buffer>,
  password: Given<string | null>,
  budget: IterationBudget,
): Promise<Reading<KeyStore>> {
  const opened = await openKeyStore(source.value, password.value ?? "", budget);
  switch (opened.kind) {
    case "opened":
      return read(opened.value);
    case "locked":
      return faulty(
        password.path,
        password.value === null
          ? "missing, because the store has a password"
          : "it is not the password of the store",
      );
    case "unreadable":
      return faulty(source.path, `cannot read the store: ${opened.reason}`);
  }
}

export async function takeIdentity(
  store: KeyStore,
  { source, budget, ...choice }: KeyChoice & { source: Given<Buffer>; budget: IterationBudget },
): Promise<Reading<StoreIdentity>> {
  const stored = findKey(store.keys, { source, ...choice });
  if (stored.kind !== "read") return stored;
  const unlocked = await stored.value.unlock(choice.keyPassword.value ?? choice.password.value ?? "");
  switch (unlocked.kind) {
    case "opened": {
      const { certificates } = stored.value;
      const chain = await orderChain(unlocked.value, { certificates, pause: budget.pause });
      return chain.length > 0
        ? read({ key: unlocked.value, chain })
        : faulty(source.path, "the store holds no certificate that belongs to the key");
    }
    case "locked":
      return faulty(
        choice.keyPassword.path,
        choice.keyPassword.value === null
          ? "missing, because the key has another password than the store"
          : "it is not the password of the key",
      );
    case "unreadable":
      return faulty(source.path, `cannot read the key in the store: ${unlocked.reason}`);
  }
}

function findKey(
  keys: readonly StoredKey[],
  { source, alias, isAliasShown }: KeyChoice & { source: Given<Buffer> },
): Reading<StoredKey> {
  const [first, second] = keys;
  if (first === undefined) return faulty(source.path, "the store holds no private key");
  const aliases = keys.map((key) => toOneLine(key.alias));
  if (alias.value === null) {
    return second === undefined ? read(first) : faulty(alias.path, severalMessage(aliases));
  }
  const { path, value: name } = alias;
  const found =
    keys.find((key) => key.alias === name) ??
    keys.find((key) => key.alias.toLowerCase() === name.toLowerCase());
  if (found !== undefined) return read(found);
  return faulty(path, describeFault(unknownName("key", isAliasShown ? toOneLine(name) : "***", aliases)));
}

function severalMessage(aliases: readonly string[]): string {
  const names = aliases.slice(0, MAX_ALIASES).map((alias) => `"${alias}"`);
  const rest = aliases.length > MAX_ALIASES ? ", …" : "";
  return `missing, because the store holds ${aliases.length} keys: ${names.join(", ")}${rest}`;
}

/** Makes a name from a foreign file safe for one line of a message: 128 characters at most, no control characters. */
export function toOneLine(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ").trim();
  return line.length > 128 ? `${line.slice(0, 128)}…` : line;
}
