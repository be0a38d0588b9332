// Lists the addresses of this host's network interfaces.

import { networkInterfaces } from "node:os";

/** Cached: they change seldom and are needed for each connection. */
const FRESH_MS = 1000;

let known: readonly string[] = [];
let readAt = -Infinity;

/** Empty if the system does not list them: see `findAddressFault`. */
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

/** Why the system does not list them; null: it does. */
export function findAddressFault(): string | null {
  try {
    readAddresses();
    return null;
  } catch {
    return "Cannot read the addresses of this host, so subscriptions made by API may call them: add AF_NETLINK to RestrictAddressFamilies= of the service";
  }
}

function readAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
}
