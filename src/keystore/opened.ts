// The result of opening a PKCS12 or JKS file, with every error of its reader as a value.

import type { KeyObject, X509Certificate } from "node:crypto";

export type Opened<T> =
  | { readonly kind: "opened"; readonly value: T }
  /** The password is wrong. */
  | { readonly kind: "locked" }
  | { readonly kind: "unreadable"; readonly reason: string };

export interface KeyStore {
  readonly certificates: readonly X509Certificate[];
  readonly keys: readonly StoredKey[];
}

export interface StoredKey {
  readonly alias: string;
  /** Includes the certificate of the key and its issuers, in any order. */
  readonly certificates: readonly X509Certificate[];
  readonly unlock: (password: string) => Promise<Opened<KeyObject>>;
}

/** Why a store or a key in it cannot be opened. */
export class StoreError extends Error {
  readonly kind: "locked" | "unreadable";

  constructor(kind: StoreError["kind"], message: string) {
    super(message);
    this.name = "StoreError";
    this.kind = kind;
  }
}

/** Any other error means that the bytes are not such a store: its text may contain some of them. */
export async function tryOpen<T>(open: () => Promise<T>, signal: AbortSignal): Promise<Opened<T>> {
  try {
    return { kind: "opened", value: await open() };
  } catch (error) {
    if (signal.aborted) throw error;
    if (!(error instanceof StoreError)) return { kind: "unreadable", reason: "it is damaged" };
    return error.kind === "locked" ? { kind: "locked" } : { kind: "unreadable", reason: error.message };
  }
}
