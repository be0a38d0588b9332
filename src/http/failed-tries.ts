// Slows down whoever guesses: each address has a few wrong tries, and regains one each second.

import { isIPv6 } from "node:net";

const MAX_TRIES = 10;
const REGAIN_MS = 1000;
const MAX_REMEMBERED = 1000;

export interface FailedTries {
  /** Whether these credentials, given by their digest, are known to be wrong: to send them again costs nothing. */
  isKnown: (digest: string) => boolean;
  mayTry: (address: string) => boolean;
  add: (address: string, digest: string) => void;
}

/** A script with an old token is no attack: what was wrong already is not counted again. */
export function createFailedTries(now: () => number): FailedTries {
  const digests = new Map<string, true>();
  const budgets = new Map<string, { left: number; at: number }>();

  function leftFor(network: string): number {
    const budget = budgets.get(network);
    if (budget === undefined) return MAX_TRIES;
    return Math.min(MAX_TRIES, budget.left + (now() - budget.at) / REGAIN_MS);
  }

  return {
    isKnown: (digest) => digests.has(digest),
    mayTry: (address) => leftFor(networkOf(address)) >= 1,
    add(address, digest) {
      const network = networkOf(address);
      remember(budgets, network, { left: leftFor(network) - 1, at: now() });
      remember(digests, digest, true);
    },
  };
}

/** As the newest; the oldest is forgotten. */
function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MAX_REMEMBERED && oldest !== undefined) map.delete(oldest);
}

/** Who has one IPv6 address has the other 2^64 of its network too. */
function networkOf(address: string): string {
  if (!isIPv6(address) || /^::ffff:[\d.]+$/iu.test(address)) return address;
  const [head = "", tail = ""] = address.split("::");
  const before = head.split(":").filter((group) => group !== "");
  const after = tail.split(":").filter((group) => group !== "");
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
