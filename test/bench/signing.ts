// What a signature costs: microseconds for each message, by kind of key and size of body.
//
// Argument: how many messages of 256 B a round signs; default 20000.

import { createSigner } from "#callback/signature.ts";
import type { SignatureKey } from "#delivery/callback.ts";

const MESSAGES = Number(process.argv[2] ?? 20_000);
const ROUNDS = 5;
const SIZES = [256, 16_384] as const;
const FIELDS = { id: "msg_ORDERS_123456_cq8xk2l0v3s0", timestamp: "1772366400" };

const HMAC: SignatureKey = { kind: "hmac-sha256", secret: new Uint8Array(32).fill(1) };
const ED25519: SignatureKey = { kind: "ed25519", seed: new Uint8Array(32).fill(2) };
const CASES: readonly { readonly name: string; readonly keys: readonly SignatureKey[] }[] = [
  { name: "HMAC-SHA256", keys: [HMAC] },
  { name: "HMAC-SHA256, two keys", keys: [HMAC, HMAC] },
  { name: "ed25519", keys: [ED25519] },
];

/** Of the fastest round: the others were disturbed. */
function microsPerMessage(keys: readonly SignatureKey[], bytes: number): number {
  const sign = createSigner(keys);
  const body = new Uint8Array(bytes).fill(0x61);
  const messages = Math.ceil((MESSAGES * 256) / Math.max(256, bytes / 8));
  let best = Infinity;
  for (let round = 0; round <= ROUNDS; round += 1) {
    const startedAt = performance.now();
    for (let count = 0; count < messages; count += 1) sign?.(body, FIELDS);
    best = Math.min(best, ((performance.now() - startedAt) * 1000) / messages);
  }
  return best;
}

for (const { name, keys } of CASES) {
  for (const bytes of SIZES) {
    const micros = microsPerMessage(keys, bytes).toFixed(1);
    console.log(`${name.padEnd(22)} ${String(bytes).padStart(6)} B ${micros.padStart(7)} us`);
  }
}
