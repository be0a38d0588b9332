// Keys from passwords: the same as another implementation derives, within limits, and with the event loop free meanwhile.

import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import forge from "node-forge";
import { createIterationBudget, type IterationBudget, limitTo } from "#keystore/budget.ts";
import { deriveJksStream, derivePbkdf2, derivePkcs12, type Digest } from "#keystore/derive.ts";
import { countTurns } from "../support/event-loop.ts";

const DIGESTS = ["sha1", "sha256", "sha384", "sha512"] as const;
const PURPOSES = { key: 1, vector: 2, mac: 3 } as const;
const budget = () => createIterationBudget([], new AbortController().signal);

/** By forge, which knows it by the number of the purpose. */
function expectedKey(
  purpose: keyof typeof PURPOSES,
  { digest, password, salt, length }: { digest: Digest; password: string; salt: Buffer; length: number },
): string {
  const { pbe, md, util } = forge as unknown as {
    pbe: { generatePkcs12Key: (...args: readonly unknown[]) => forge.util.ByteBuffer };
    md: Readonly<Record<Digest, { create: () => unknown }>>;
    util: typeof forge.util;
  };
  const salted = util.createBuffer(salt.toString("latin1"));
  return pbe
    .generatePkcs12Key(password, salted, PURPOSES[purpose], 1001, length, md[digest].create())
    .toHex();
}

test.each(
  DIGESTS.flatMap((digest) =>
    (["key", "vector", "mac"] as const).flatMap((purpose) =>
      [
        { password: "store-password", salt: Buffer.from("0123456789abcdef") },
        { password: "", salt: Buffer.alloc(20, 0xff) },
        { password: "pässwörd 😀".repeat(30), salt: Buffer.alloc(200, "salt of many blocks") },
      ].map(({ password, salt }) => ({ digest, purpose, password, salt })),
    ),
  ),
)("derivePkcs12() gives what forge gives: $digest, $purpose, $password", async ({ purpose, ...given }) => {
  for (const length of [5, 24, 64, 130]) {
    const wanted = { ...given, length };
    const key = await derivePkcs12(purpose, { ...wanted, iterations: 1001, budget: budget() });
    expect(key.toString("hex")).toBe(expectedKey(purpose, wanted));
  }
});

test("deriveJksStream() hashes the password and the hash before", async () => {
  const salt = Buffer.alloc(20, 7);
  const first = createHash("sha1").update(Buffer.from("\0p\0w")).update(salt).digest();
  const second = createHash("sha1").update(Buffer.from("\0p\0w")).update(first).digest();
  const stream = await deriveJksStream({ password: "pw", salt, length: 30, budget: budget() });
  expect(stream).toEqual(Buffer.concat([first, second]).subarray(0, 30));
});

const GIVEN = { digest: "sha1", password: "pw", salt: Buffer.alloc(20), length: 40 } as const;

test.each([
  [
    "derivePkcs12()",
    (own: IterationBudget) => derivePkcs12("key", { ...GIVEN, iterations: 501, budget: own }),
  ],
  ["derivePbkdf2()", (own: IterationBudget) => derivePbkdf2({ ...GIVEN, iterations: 501, budget: own })],
  // 26 hashes of two blocks.
  [
    "deriveJksStream()",
    (own: IterationBudget) =>
      deriveJksStream({ ...GIVEN, length: 520, password: "pw".repeat(640), budget: own }),
  ],
])("%s does nothing that its budget does not allow: each block of a key counts", async (_, derive) => {
  const own = createIterationBudget([limitTo(1000, "this test")], new AbortController().signal);
  const error = await derive(own).catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("its passwords take too many iterations: this test may take 1000 in all");
  expect(own.spent()).toBe(0);
});

test("many derivations at once leave the event loop to others", async () => {
  const iterations = 400_000;
  const own = budget();
  const turns = await countTurns(() =>
    Promise.all(
      Array.from({ length: 6 }, async (__, index) =>
        index % 2 === 0
          ? derivePkcs12("mac", { ...GIVEN, digest: "sha256", length: 32, iterations, budget: own })
          : derivePbkdf2({ ...GIVEN, digest: "sha256", length: 32, iterations, budget: own }),
      ),
    ),
  );
  expect(own.spent()).toBe(6 * iterations);
  // Three hashes of 40 ms and more, in slices of 8 ms; done in one go each they leave three turns.
  expect(turns).toBeGreaterThan(10);
});

test("a derivation ends when its signal aborts", async () => {
  const stopping = new AbortController();
  const own = createIterationBudget([], stopping.signal);
  const deriving = derivePkcs12("key", { ...GIVEN, iterations: 100_000_000, budget: own });
  setTimeout(() => stopping.abort(), 20);
  expect(await deriving.catch(String)).toContain("Cannot read the key stores: aborted");
});
