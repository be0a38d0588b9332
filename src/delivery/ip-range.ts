// Parses IP addresses and ranges, and compares them. PURE.

import { isIP } from "node:net";

import { type IPv4, type IPv6, parse } from "ipaddr.js";

export type Address = IPv4 | IPv6;

export interface Range {
  readonly network: Address;
  /** The prefix length in bits. */
  readonly bits: number;
}

const WIDTHS = { ipv4: 32, ipv6: 128 } as const;

/** Null: not an address. A zone (`%eth0`) is ignored; short and octal forms of IPv4 are invalid. */
export function parseAddress(text: string): Address | null {
  const [address = ""] = text.split("%", 1);
  return isIP(address) === 0 ? null : parse(address);
}

/** `10.0.0.0/8`, or one address. Null: neither. */
export function parseRange(text: string): Range | null {
  const [, start = "", length] = /^([^/]*)(?:\/(\d{1,3}))?$/u.exec(text) ?? [];
  const network = parseAddress(start);
  if (network === null) return null;
  const width = WIDTHS[network.kind()];
  const bits = length === undefined ? width : Number(length);
  return bits > width ? null : { network, bits };
}

export function isInRange(address: Address, { network, bits }: Range): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}
