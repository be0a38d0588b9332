// The addresses of this host, as its network interfaces have them now.

import { networkInterfaces } from "node:os";

/** They change seldom, and are asked for with each connection. */
const FRESH_MS = 1000;

let known: readonly string[] = [];
let readAt = -Infinity;

/** Empty where the system does not tell them: see `findAddressFault`. */
export function ownAddresses(): readonly string[] {
  const now = performance.now();
  if (now - readAt < FRESH_MS) return known;
  readAt = now;
  try {
    known = readAddresses();
  } catch {
    known = [];
  }
  return known;
}

/** Why the system does not tell them; null: it does. */
export function findAddressFault(): string | null {
  try {
    readAddresses();
    return null;
  } catch {
    return "Cannot read the addresses of this host, which subscriptions made by API may call therefore: a service needs AF_NETLINK in RestrictAddressFamilies=";
  }
}

function readAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
}
