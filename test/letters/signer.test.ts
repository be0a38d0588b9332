// The keys of dead letters on a real server: shared by the relays of a cluster, and there while the bucket is not.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "bun:test";
import type { Bucket } from "#bucket/bucket.ts";
import { type LetterSigner, openLetterSigner } from "#letters/signer.ts";
import { SIGNATURE_HEADER } from "#bucket/signer.ts";
import type { SignedLetter } from "#letters/signature.ts";
import { createBucketCipher } from "#bucket/encryption.ts";
import { eventually } from "../support/eventually.ts";
import { connected, createRecordingLogger } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { temporaryDirectory } from "../support/relay.ts";
import { readyBucket } from "../bucket/buckets.ts";

const LETTER: SignedLetter = { stream: "DLQ", subject: "dlq.sub.ORDERS.1-x", headers: [] };
const BODY = Buffer.from("body");
const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const never = new AbortController().signal;

/** One that never comes. */
const AWAY: Pick<Bucket, "ready" | "get" | "read" | "write" | "onChange"> = {
  ready: (signal) => new Promise((resolve) => signal.addEventListener("abort", () => resolve(false))),
  get: () => null,
  read: async () => ({ kind: "unavailable", reason: "away" }),
  write: async () => ({ kind: "unavailable", reason: "away" }),
  onChange: () => () => undefined,
};

async function opened(server: NatsServer) {
  await using stack = new AsyncDisposableStack();
  const bucket = stack.use(await readyBucket(stack.use(await connected(server.url))));
  const owned = stack.move();
  return { bucket, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function signerOn(
  bucket: typeof AWAY,
  { key = null, path = null }: { key?: Uint8Array | null; path?: string | null } = {},
): LetterSigner {
  const cipher = key === null ? null : createBucketCipher(key);
  return openLetterSigner({ bucket, cipher, path, logger: createRecordingLogger() });
}

async function signed(signer: LetterSigner): Promise<SignedLetter> {
  const signature = await signer.sign(LETTER, BODY, never);
  if (signature === null) throw new Error("It was not signed");
  return { ...LETTER, headers: [[SIGNATURE_HEADER, signature]] };
}

test("openLetterSigner() on two relays at once agrees on a key: each verifies the other's letters", async () => {
  await using server = await startNatsServer();
  await using first = await opened(server);
  await using second = await opened(server);
  const signers = [signerOn(first.bucket), signerOn(second.bucket)];
  const letters = await Promise.all(signers.map(signed));
  for (const signer of signers)
    for (const letter of letters) await eventually(() => signer.isGenuine(letter, BODY));
});

test("openLetterSigner() encrypts its keys with state.key; another state.key cannot read them", async () => {
  await using server = await startNatsServer();
  await using first = await opened(server);
  await using second = await opened(server);
  const signer = signerOn(first.bucket, { key: KEY });
  const letter = await signed(signer);
  expect(Object.keys(JSON.parse(first.bucket.get("letters.key")?.value ?? ""))).toEqual(["sealed"]);
  const other = signerOn(second.bucket, { key: OTHER_KEY });
  await other.known();
  expect(other.isGenuine(letter, BODY)).toBe(false);
  const before = second.bucket.get("letters.key");
  expect(signer.isGenuine(await signed(other), BODY)).toBe(false);
  expect(second.bucket.get("letters.key")).toEqual(before);
});

test("sign() without the bucket uses the key of the file, or a new one that it shares later", async () => {
  await using server = await startNatsServer();
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "letters.key");
  const early = await signed(signerOn(AWAY, { path }));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await using first = await opened(server);
  await using second = await opened(server);
  const other = signerOn(second.bucket);
  const own = await signed(other);
  const signer = signerOn(first.bucket, { path });
  await signed(signer);
  await eventually(() => signer.isGenuine(own, BODY) && other.isGenuine(early, BODY));
  await eventually(async () => (await readFile(path, "utf8")) === second.bucket.get("letters.key")?.value);
  const again = signerOn(AWAY, { path });
  expect(signer.isGenuine(await signed(again), BODY)).toBe(true);
}, 30_000);

test("sign() obeys its signal while it waits for a key", async () => {
  const ended = new AbortController();
  const signing = signerOn(AWAY).sign(LETTER, BODY, ended.signal);
  ended.abort();
  expect(await signing).toBeNull();
});
