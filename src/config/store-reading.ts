// The result of reading a part of a store: its content, or the fault and its position.

import type { Fault, Path } from "#schema/issue.ts";

export type Reading<T> =
  | { readonly kind: "read"; readonly value: T }
  /** A reference that is not looked up, or a fault that is reported elsewhere. */
  | { readonly kind: "unknown" }
  | { readonly kind: "faulty"; readonly faults: readonly Fault[] };

/** A value of the config; its path is relative to the store's object. */
export interface Given<T> {
  readonly path: Path;
  readonly value: T;
}

export const UNKNOWN = { kind: "unknown" } as const;

export function read<T>(value: T): Reading<T> {
  return { kind: "read", value };
}

export function faulty(path: Path, message: string): { kind: "faulty"; faults: readonly Fault[] } {
  return { kind: "faulty", faults: [{ path, message }] };
}

export function thenRead<T, U>(reading: Reading<T>, readNext: (value: T) => Reading<U>): Reading<U> {
  return reading.kind === "read" ? readNext(reading.value) : reading;
}

export function mapReading<T, U>(reading: Reading<T>, convert: (value: T) => U): Reading<U> {
  return thenRead(reading, (value) => read(convert(value)));
}
