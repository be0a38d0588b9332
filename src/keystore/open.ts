// Opens a key store and detects its format, PKCS12 or JKS, from its bytes.

import type { IterationBudget } from "./budget.ts";
import { openJks } from "./jks.ts";
import type { KeyStore, Opened } from "./opened.ts";
import { openPkcs12 } from "./pkcs12.ts";

const JKS_MAGIC = 0xfeedfeed;
const JCEKS_MAGIC = 0xcececece;

/** As in Java, either format is accepted for either type. Rejects with a RelayError if the signal of `budget` aborts. */
export async function openKeyStore(
  bytes: Buffer,
  password: string,
  budget: IterationBudget,
): Promise<Opened<KeyStore>> {
  const magic = bytes.length < 4 ? 0 : bytes.readUInt32BE(0);
  if (magic === JKS_MAGIC) return openJks(bytes, password, budget);
  if (magic === JCEKS_MAGIC) {
    return { kind: "unreadable", reason: "JCEKS is not supported, allowed: PKCS12 or JKS" };
  }
  // A sequence, as in every PKCS12 file.
  if (bytes[0] === 0x30) return openPkcs12(bytes, password, budget);
  return { kind: "unreadable", reason: "it is neither PKCS12 nor JKS" };
}
