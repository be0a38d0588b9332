// Derives keys from passwords: PBKDF2 on its own thread, and the hash loops of PKCS12 and JKS in slices.

import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import type { IterationBudget } from "./budget.ts";

/** The engine's own hashes take a quarter of the time of `node:crypto` for such small inputs. */
const HASHES = {
  sha1: { hash: Bun.SHA1, length: 20, blockLength: 64 },
  sha256: { hash: Bun.SHA256, length: 32, blockLength: 64 },
  sha384: { hash: Bun.SHA384, length: 48, blockLength: 128 },
  sha512: { hash: Bun.SHA512, length: 64, blockLength: 128 },
} as const;

export type Digest = keyof typeof HASHES;

export interface Derivation {
  readonly digest: Digest;
  readonly password: string;
  readonly salt: Buffer;
  readonly iterations: number;
  /** Of the key, in bytes. */
  readonly length: number;
  readonly budget: IterationBudget;
}

/** Iterations between two looks at the clock: well below a millisecond. */
const ITERATIONS_AT_ONCE = 1000;

export function isDigest(name: string): name is Digest {
  return Object.hasOwn(HASHES, name);
}

/** In bytes. */
export function lengthOf(digest: Digest): number {
  return HASHES[digest].length;
}

/** RFC 8018, 5.2. */
export async function derivePbkdf2({ digest, password, salt, ...wanted }: Derivation): Promise<Buffer> {
  const { iterations, length, budget } = wanted;
  budget.spend(iterations * Math.ceil(length / HASHES[digest].length));
  await budget.pause();
  return promisify(pbkdf2)(password, salt, iterations, length, digest);
}

/** The purpose of a key (RFC 7292, B.3). */
const PURPOSES = { key: 1, vector: 2, mac: 3 } as const;

/** RFC 7292, B.2. */
export async function derivePkcs12(
  purpose: keyof typeof PURPOSES,
  { digest, password, salt, iterations, length, budget }: Derivation,
): Promise<Buffer> {
  const { blockLength, length: hashLength } = HASHES[digest];
  const count = Math.ceil(length / hashLength);
  budget.spend(iterations * count);
  const diversifier = Buffer.alloc(blockLength, PURPOSES[purpose]);
  const characters = toUtf16(`${password}\0`);
  const input = Buffer.concat([repeat(salt, blockLength), repeat(characters, blockLength)]);
  const blocks: Buffer[] = [];
  while (blocks.length < count) {
    const block = await hashRepeatedly(Buffer.concat([diversifier, input]), { digest, iterations, budget });
    blocks.push(block);
    for (let at = 0; at < input.length; at += blockLength) {
      addAndOne(input.subarray(at, at + blockLength), block);
    }
  }
  return Buffer.concat(blocks).subarray(0, length);
}

async function hashRepeatedly(
  first: Buffer,
  { digest, iterations, budget }: Pick<Derivation, "digest" | "iterations" | "budget">,
): Promise<Buffer> {
  const { hash, length } = HASHES[digest];
  const block = Buffer.alloc(length);
  await budget.pause();
  hash.hash(first, block);
  for (let done = 1; done < iterations; done += 1) {
    if (done % ITERATIONS_AT_ONCE === 0) await budget.pause();
    hash.hash(block, block);
  }
  return block;
}

/** Repeats the text up to the next full block. */
function repeat(bytes: Buffer, blockLength: number): Buffer {
  return Buffer.alloc(Math.ceil(bytes.length / blockLength) * blockLength, bytes);
}

/** Adds the repeated `block` and 1 to the number in `bytes`. */
function addAndOne(bytes: Buffer, block: Buffer): void {
  let carry = 1;
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    const sum = (bytes[at] ?? 0) + (block[at % block.length] ?? 0) + carry;
    bytes[at] = sum & 0xff;
    carry = sum >> 8;
  }
}

/** The key stream that protects a key in a JKS file: each hash is of the password and the previous hash. */
export async function deriveJksStream({
  password,
  salt,
  length,
  budget,
}: Omit<Derivation, "digest" | "iterations">): Promise<Buffer> {
  const { hash, length: hashLength, blockLength } = HASHES.sha1;
  const input = Buffer.concat([toUtf16(password), salt]);
  const count = Math.max(1, Math.ceil(length / hashLength));
  budget.spend(count * Math.ceil(input.length / blockLength));
  const stream = Buffer.alloc(count * hashLength);
  for (let done = 0; done < count; done += 1) {
    await budget.pause();
    const block = stream.subarray(done * hashLength, (done + 1) * hashLength);
    hash.hash(input, block);
    block.copy(input, input.length - hashLength);
  }
  return stream.subarray(0, length);
}

/** Big-endian, as Java and PKCS12 have it. */
export function toUtf16(text: string): Buffer {
  return Buffer.from(text, "utf16le").swap16();
}
