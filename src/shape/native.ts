// What a function of the library is, for those who replace it. PURE.

import type { Meter } from "./meter.ts";

/** `this` of a function of the library. */
export interface Focus {
  readonly environment: { readonly timestamp: Date };
  readonly input: unknown;
  readonly createSequence: () => unknown[];
}

// The library calls it with whatever an expression yields.
// oxlint-disable-next-line typescript/no-explicit-any
export type Native = (this: any, ...args: any[]) => unknown;

export type Override = (original: Native, meter: () => Meter) => Native;

/** A search may compare the whole part at each place of the text. */
export function spendSearch(text: string, part: string, meter: Meter): void {
  meter.spend(text.length / 8 + (text.length * part.length) / 200);
}
