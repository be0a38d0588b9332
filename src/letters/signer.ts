// Signs dead letters and verifies them, with keys that the relays of the cluster share in the bucket and copy to a file each.
//
// The first relay that writes a letter creates the key. Without the bucket, the key of the file signs; without that one too,
// the relay creates its own key, and adds it to the bucket as soon as possible.

import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";

import { codeOf, messageOf } from "#lib/errors.ts";
import type { Logger } from "#lib/logger.ts";

import type { Bucket } from "#bucket/bucket.ts";
import { putInPlace } from "#bucket/commands.ts";
import { NOT_SIGNED, REFUSED } from "#bucket/mirror.ts";
import { isSigned, type LetterKey, type SignedLetter, signLetter } from "./signature.ts";
import type { BucketCipher } from "#bucket/encryption.ts";
import { settlesWithin } from "#lib/settles-within.ts";

export interface LetterSigner {
  /**
   * Returns the value of the header `Relay-Signature`. Waits up to 5 s for a key of the cluster. null: `signal` aborted first.
   * Never rejects.
   */
  sign: (letter: SignedLetter, body: Uint8Array, signal: AbortSignal) => Promise<string | null>;
  /** True if a relay of the cluster wrote it. `body` null: checked without the body. */
  isGenuine: (letter: SignedLetter, body: Uint8Array | null) => boolean;
  /** Resolves when the keys of the cluster are known, or after 5 s. Never rejects. */
  known: () => Promise<void>;
}

interface LetterSignerOptions {
  readonly bucket: Pick<Bucket, "ready" | "get" | "read" | "write" | "onChange">;
  /** null: there is no `state.key`, and the keys are stored unencrypted. */
  readonly cipher: BucketCipher | null;
  /** The file for a copy of the keys; null: keep none. */
  readonly path: string | null;
  readonly logger: Logger;
}

/** The bucket's key of the signing keys. */
const KEY = "letters.key";
const KEY_BYTES = 32;
/** Short, because the id is in each letter, and a letter may hardly fit. */
const ID_BYTES = 4;
const MAX_KEYS = 64;
const WAIT_MS = 5000;
const MAX_TRIES = 3;

export function openLetterSigner({ bucket, cipher, path, logger }: LetterSignerOptions): LetterSigner {
  const keys = new Map<string, LetterKey>();
  /** The bucket's keys, newest last; null: not read yet, or unreadable. */
  let shared: readonly LetterKey[] | null = null;
  /** The key of the file, or of this relay: signs while the bucket's keys are unknown. */
  let own: LetterKey | null = null;
  let sharing: Promise<void> | null = null;
  let adopting: Promise<void> = readOwn();
  const isKnown = waitForKeys();
  bucket.onChange((key, entry) => {
    if (key === KEY && entry !== null) adopting = adopting.then(() => adopt(entry.value));
  });

  async function waitForKeys(): Promise<void> {
    await bucket.ready(AbortSignal.timeout(WAIT_MS));
    await adopting;
    // `onChange` reports only changes since it was called.
    const entry = bucket.get(KEY);
    if (shared === null && entry !== null) await (adopting = adopt(entry.value));
  }

  /** Never rejects. */
  async function readOwn(): Promise<void> {
    if (path === null) return;
    try {
      const ring = await unpack(await readFile(path, "utf8"));
      for (const key of ring) keys.set(key.id, key);
      own = ring[0] ?? null;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      logger.warn("Cannot read the keys of dead letters", { path, error: messageOf(error) });
    }
  }

  /** Takes the bucket's keys, and copies them to the file for times without the bucket. Never rejects. */
  async function adopt(text: string): Promise<void> {
    try {
      shared = await unpack(text);
    } catch (error) {
      shared = null;
      logger.error("Cannot read the keys of dead letters", { key: KEY, error: messageOf(error) });
      return;
    }
    for (const key of shared) keys.set(key.id, key);
    if (path === null) return;
    await putInPlace(path, text).catch((error: unknown) => {
      logger.warn("Cannot keep the keys of dead letters", { path, error: messageOf(error) });
    });
  }

  /** Throws if it cannot be read. */
  async function unpack(text: string): Promise<readonly LetterKey[]> {
    if (text === REFUSED) throw new Error(NOT_SIGNED);
    const { sealed, keys: plain } = JSON.parse(text) as { sealed?: unknown; keys?: unknown };
    if (typeof sealed !== "string") return toKeys(plain);
    if (cipher === null) throw new Error("They are encrypted, and no state.key is set to decrypt them");
    return toKeys(JSON.parse(await cipher.decrypt(sealed, KEY)));
  }

  async function pack(ring: readonly LetterKey[]): Promise<string> {
    const plain = ring.map(({ id, secret }) => ({ id, secret: Buffer.from(secret).toString("base64url") }));
    if (cipher === null) return JSON.stringify({ keys: plain });
    return JSON.stringify({ sealed: await cipher.encrypt(JSON.stringify(plain), KEY) });
  }

  function makeOwn(): LetterKey {
    const key = { id: randomBytes(ID_BYTES).toString("base64url"), secret: randomBytes(KEY_BYTES) };
    keys.set(key.id, key);
    return key;
  }

  /** Adds this relay's key to the bucket, or the first key of all. Never overwrites keys that cannot be read. */
  async function share(): Promise<void> {
    await isKnown;
    if (!(await bucket.ready(AbortSignal.timeout(WAIT_MS)))) return;
    for (let tries = 1; tries <= MAX_TRIES; tries += 1) {
      await adopting;
      const entry = bucket.get(KEY);
      if (entry !== null && shared === null) return;
      const former = entry === null ? [] : (shared ?? []);
      if (former.length > 0 && (own === null || former.some(({ id }) => id === own?.id))) return;
      own ??= makeOwn();
      const text = await pack([...former, own].slice(-MAX_KEYS));
      const condition = { expectedRevision: entry?.revision ?? 0, signal: AbortSignal.timeout(WAIT_MS) };
      const result = await bucket.write(KEY, text, condition);
      if (result.kind !== "conflict") return;
      // Another relay was faster, and the mirror may not have its entry yet.
      const answer = await bucket.read(KEY);
      if (answer.kind === "found" && answer.message.value !== null) await adopt(answer.message.value);
    }
  }

  async function signingKey(signal: AbortSignal): Promise<LetterKey | null> {
    const isShared = shared?.[0] !== undefined && (own === null || shared.some(({ id }) => id === own?.id));
    if (!isShared) sharing ??= share().finally(() => (sharing = null));
    if (!isShared && shared === null && sharing !== null) {
      await adopting;
      // This relay's own key can sign without the bucket.
      if (own === null) await settlesWithin(sharing, WAIT_MS, { signal });
      await adopting;
    }
    if (shared?.[0] !== undefined) return shared[0];
    if (own !== null) return own;
    if (signal.aborted) return null;
    own = makeOwn();
    if (path !== null) await putInPlace(path, await pack([own])).catch(() => undefined);
    return own;
  }

  return {
    async sign(letter, body, signal) {
      const key = await signingKey(signal);
      return key === null ? null : signLetter(letter, body, key);
    },
    isGenuine: (letter, body) => isSigned(letter, body, (id) => keys.get(id) ?? null),
    known: () => isKnown,
  };
}

/** Throws if `value` is no list of keys. */
function toKeys(value: unknown): readonly LetterKey[] {
  if (!Array.isArray(value) || value.length > MAX_KEYS) throw new Error("They are no keys");
  return value.map((entry: unknown) => {
    const { id, secret } = (entry ?? {}) as { id?: unknown; secret?: unknown };
    const bytes = typeof secret === "string" ? Buffer.from(secret, "base64url") : null;
    if (typeof id !== "string" || !/^[\w-]{1,64}$/.test(id) || bytes?.length !== KEY_BYTES)
      throw new Error("They are no keys");
    return { id, secret: bytes };
  });
}
