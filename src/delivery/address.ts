// Decides which addresses callbacks may have: the most specific matching range wins. PURE.

import { fromByteArray } from "ipaddr.js";

import type { AddressRules } from "./callback.ts";
import { type Address, isInRange, parseAddress, parseRange, type Range } from "./ip-range.ts";

/** Cloud metadata services: they give out the credentials of the host. */
const METADATA = toRanges([
  "169.254.0.0/16",
  "fe80::/10",
  "fd00:ec2::254",
  "100.100.100.200",
  "168.63.129.16",
  "192.0.0.192",
]);

/** Ranges outside of the public internet: IANA's registries of special-purpose addresses (RFC 6890). */
const PRIVATE = toRanges([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "::",
  "::1",
  "64:ff9b:1::/48",
  "100::/64",
  "100:0:0:1::/64",
  "2001:2::/48",
  "2001:10::/28",
  "2001:20::/28",
  "2001:db8::/32",
  "3fff::/20",
  "5f00::/16",
  "fc00::/7",
  "fe80::/10",
  "fec0::/10",
  "ff00::/8",
]);

interface Embedding {
  /** Null: any IPv6 address. */
  readonly range: Range | null;
  /** Allowed values of bytes 8 to 11, half of the interface identifier. */
  readonly marks?: readonly string[];
  /** Offset of the four bytes of the IPv4 address. */
  readonly places: readonly (readonly [number, number, number, number])[];
  readonly isInverted?: true;
}

const LAST_FOUR = [12, 13, 14, 15] as const;

/** IPv6 addresses that embed an IPv4 address: RFC 4291, 2765, 6052, 8215, 3056, 4380 and 5214. */
const EMBEDDINGS: readonly Embedding[] = [
  { range: toRange("::/96"), places: [LAST_FOUR] },
  { range: toRange("::ffff:0:0/96"), places: [LAST_FOUR] },
  { range: toRange("::ffff:0:0:0/96"), places: [LAST_FOUR] },
  { range: toRange("64:ff9b::/96"), places: [LAST_FOUR] },
  // The network chooses the length of this prefix.
  {
    range: toRange("64:ff9b:1::/48"),
    places: [LAST_FOUR, [6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12]],
  },
  { range: toRange("2002::/16"), places: [[2, 3, 4, 5]] },
  { range: toRange("2001::/32"), places: [[4, 5, 6, 7]] },
  { range: toRange("2001::/32"), places: [LAST_FOUR], isInverted: true },
  // ISATAP, with any prefix.
  { range: null, marks: ["00005efe", "02005efe"], places: [LAST_FOUR] },
];

/** `::` and `::1`: their last bytes are not an IPv4 address. */
const WITHOUT_EMBEDDED = toRange("::/127");

/**
 * True: it may be dialled. `ownAddresses`: those of this host, denied together with private ranges. An IPv6 address that
 * embeds an IPv4 address is checked as both, and denied if either is: allowing the IPv4 range is enough, allowing the
 * IPv6 range is not. Denies invalid addresses.
 */
export function createAddressCheck(
  { allow, deny, deniesPrivate }: AddressRules,
  ownAddresses: () => readonly string[],
): (address: string) => boolean {
  const allowed = toRanges(allow);
  const denied = toRanges(deny);
  const deniedElse = deniesPrivate ? [...METADATA, ...PRIVATE] : METADATA;

  function isAllowed(address: Address): boolean {
    const allowedBits = mostBits(allowed, address);
    const deniedBits = mostBits(denied, address);
    if (allowedBits > NONE || deniedBits > NONE) return allowedBits > deniedBits;
    return mostBits(deniedElse, address) === NONE && !(deniesPrivate && isOwn(address));
  }

  function isOwn(address: Address): boolean {
    return ownAddresses().some(
      (own) => parseAddress(own)?.toNormalizedString() === address.toNormalizedString(),
    );
  }

  return (text) => {
    const address = parseAddress(text);
    return address !== null && isAllowed(address) && embeddedIn(address).every(isAllowed);
  };
}

const NONE = -1;

/** The prefix length of the most specific range that contains the address. */
function mostBits(ranges: readonly Range[], address: Address): number {
  return Math.max(NONE, ...ranges.map((range) => (isInRange(address, range) ? range.bits : NONE)));
}

function embeddedIn(address: Address): Address[] {
  if (address.kind() === "ipv4" || isInRange(address, WITHOUT_EMBEDDED)) return [];
  const bytes = address.toByteArray();
  const half = Buffer.from(bytes.slice(8, 12)).toString("hex");
  const isMeant = ({ range, marks }: Embedding) =>
    (range === null || isInRange(address, range)) && (marks === undefined || marks.includes(half));
  return EMBEDDINGS.filter(isMeant).flatMap(({ places, isInverted }) =>
    places.map((place) => {
      const mask = isInverted === true ? 0xff : 0;
      return fromByteArray(place.map((index) => (bytes[index] ?? 0) ^ mask));
    }),
  );
}

function toRanges(texts: readonly string[]): Range[] {
  return texts.map(toRange);
}

function toRange(text: string): Range {
  const range = parseRange(text);
  if (range === null) throw new TypeError(`Not an address or a range of addresses: ${text}`);
  return range;
}
