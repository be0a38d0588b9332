// Limits wrong credentials by address: a few at once, then one a second. Right credentials are never delayed.

import { isIPv6 } from "node:net";
import { sleep } from "#lib/sleep.ts";

const MAX_TRIES = 10;
const REGAIN_MS = 1000;
const MAX_REMEMBERED = 1000;
/** Between two refusals of one address that guesses too fast. */
const TURN_MS = 100;
/** The longest that one of them waits. */
const MAX_TURNS = 50;
const MAX_WAITING = 1000;

interface FailedTries {
  /** Whether these credentials, given by their digest, are known to be wrong: to send them again costs nothing. */
  isKnown: (digest: string) => boolean;
  mayTry: (address: string) => boolean;
  add: (address: string, digest: string) => void;
  /** Until the refusal of one try too many may be told, 5 s at most: so guesses take time, however many connections send them. */
  takeTurn: (address: string, signal: AbortSignal) => Promise<void>;
}

/** A script with an old token is no attack: what was wrong already is not counted again. */
export function createFailedTries(now: () => number): FailedTries {
  const digests = new Map<string, true>();
  const budgets = new Map<string, { left: number; at: number }>();
  /** How many wait, by network; none of them is 0. */
  const waiting = new Map<string, number>();
  let allWaiting = 0;

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
    async takeTurn(address, signal) {
      if (allWaiting >= MAX_WAITING) return;
      const network = networkOf(address);
      const turn = (waiting.get(network) ?? 0) + 1;
      waiting.set(network, turn);
      allWaiting += 1;
      await sleep(Math.min(turn, MAX_TURNS) * TURN_MS, signal);
      allWaiting -= 1;
      const left = (waiting.get(network) ?? 1) - 1;
      if (left === 0) waiting.delete(network);
      else waiting.set(network, left);
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
export function networkOf(address: string): string {
  if (!isIPv6(address) || /^::ffff:[\d.]+$/iu.test(address)) return address;
  const [head = "", tail = ""] = address.split("::");
  const before = head.split(":").filter((group) => group !== "");
  const after = tail.split(":").filter((group) => group !== "");
  const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill("0");
  return [...before, ...zeros, ...after].slice(0, 4).join(":");
}
