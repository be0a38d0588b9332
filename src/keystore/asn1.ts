// ASN.1 for PKCS12: parses a value and reaches its parts by index.

import forge from "node-forge";

export type Asn1 = forge.asn1.Asn1;

/** Throws if the bytes are not a single value in DER or BER. */
export function parseAsn1(bytes: Uint8Array): Asn1 {
  return forge.asn1.fromDer(Buffer.from(bytes).toString("latin1"));
}

/** Bytes as forge takes them: one character each. */
export function toDer(value: Asn1): Buffer {
  return Buffer.from(forge.asn1.toDer(value).getBytes(), "latin1");
}

export function partsOf(value: Asn1): readonly Asn1[] {
  if (!Array.isArray(value.value)) throw new TypeError("Cannot take a primitive value apart");
  return value.value;
}

/** The part at a path of indexes. */
export function partAt(value: Asn1, ...places: readonly number[]): Asn1 {
  return places.reduce((outer, place) => {
    const part = partsOf(outer)[place];
    if (part === undefined) throw new RangeError("Cannot find a part of an ASN.1 value");
    return part;
  }, value);
}

/** The bytes of an octet string; BER may split it into pieces. */
export function octetsOf(value: Asn1): Buffer {
  return typeof value.value === "string"
    ? Buffer.from(value.value, "latin1")
    : Buffer.concat(value.value.map(octetsOf));
}

/** By forge's name; undefined: unknown to forge. */
export function oidNameOf(value: Asn1): string | undefined {
  return forge.pki.oids[forge.asn1.derToOid(octetsOf(value).toString("latin1"))];
}

export function integerOf(value: Asn1): number {
  return forge.asn1.derToInteger(octetsOf(value).toString("latin1"));
}
