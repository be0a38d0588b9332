// Decodes every run of base64 or hex in a text, from each offset at which it may begin. PURE.

import { endOfByte, hexDigit, startOf, startView, type DecodedView } from "./decoded-views.ts";

interface Alphabet {
  /** -1: the character is not in the alphabet. */
  readonly valueOf: (byte: number) => number;
  readonly bits: number;
  /** The number of offsets within a run at which the content may begin. */
  readonly alignments: number;
}

const BASE64_VALUES = new Int8Array(256).fill(-1);
for (const alphabet of ["+/", "-_"]) {
  const characters = `ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789${alphabet}`;
  for (const [value, character] of Array.from(characters).entries()) {
    BASE64_VALUES[character.charCodeAt(0)] = value;
  }
}
const ALPHABETS: readonly Alphabet[] = [
  { valueOf: (byte) => BASE64_VALUES[byte] ?? -1, bits: 6, alignments: 4 },
  { valueOf: hexDigit, bits: 4, alignments: 2 },
];
const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE, EQUALS] = [0x09, 0x0a, 0x0d, 0x20, 0x3d];
/** Separates unrelated runs; no such byte occurs in UTF-8. */
const BOUNDARY = 0xff;

/** Skips runs of fewer than `minBytes` bytes, except one that the end of a cut text may have shortened. */
export function* decodedRuns(view: DecodedView, minBytes: number): Generator<DecodedView> {
  for (const alphabet of ALPHABETS) {
    const runs = findRuns(view, alphabet, minBytes);
    if (runs.length === 0) continue;
    for (let alignment = 0; alignment < alphabet.alignments; alignment += 1) {
      const decoded = decode(view, runs, { alphabet, alignment });
      if (decoded.bytes.length > 0) yield decoded;
    }
  }
}

interface Run {
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** A run may contain line breaks. */
function findRuns(
  { bytes, reachesEnd }: DecodedView,
  { valueOf, bits }: Alphabet,
  minBytes: number,
): readonly Run[] {
  const minLength = Math.floor((minBytes * 8) / bits);
  const runs: Run[] = [];
  let from = 0;
  let length = 0;
  const end = (to: number) => {
    const isLast = to === bytes.length && reachesEnd;
    if (length >= minLength || (isLast && length > 1)) runs.push({ from, to });
    length = 0;
  };
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] ?? 0;
    if (valueOf(byte) >= 0) {
      if (length === 0) from = at;
      length += 1;
    } else if (length > 0) {
      const next = skipLineBreak(bytes, at);
      if (next === at) end(at);
      else at = next - 1;
    }
  }
  if (length > 0) end(bytes.length);
  return runs;
}

/** A line break and the indent of the next line. */
function skipLineBreak(bytes: Uint8Array, at: number): number {
  let next = bytes[at] === CARRIAGE_RETURN ? at + 1 : at;
  if (bytes[next] !== LINE_FEED) return at;
  next += 1;
  while (bytes[next] === SPACE || bytes[next] === TAB) next += 1;
  return next;
}

function decode(
  view: DecodedView,
  runs: readonly Run[],
  { alphabet: { valueOf, bits }, alignment }: { alphabet: Alphabet; alignment: number },
): DecodedView {
  const { bytes } = view;
  const decoded = startView(bytes.length);
  for (const { from, to } of runs) {
    let held = 0;
    let heldBits = 0;
    let skipped = 0;
    // The offset of the byte being assembled: its first bits may be the last bits of the previous character.
    let start = 0;
    for (let at = from; at < to; at += 1) {
      const value = valueOf(bytes[at] ?? 0);
      if (value < 0) continue;
      if (skipped < alignment) {
        skipped += 1;
        continue;
      }
      if (heldBits === 0) start = startOf(view, at);
      held = (held << bits) | value;
      heldBits += bits;
      if (heldBits < 8) continue;
      heldBits -= 8;
      decoded.push((held >> heldBits) & 0xff, start, endOfByte(view, at));
      held &= (1 << heldBits) - 1;
      start = startOf(view, at);
    }
    const padding = bytes[to] === EQUALS ? (bytes[to + 1] === EQUALS ? 2 : 1) : 0;
    if (padding > 0) decoded.extendLast(endOfByte(view, to + padding - 1));
    if (to < bytes.length || !view.reachesEnd)
      decoded.push(BOUNDARY, endOfByte(view, to - 1), endOfByte(view, to - 1));
  }
  const isCut = view.reachesEnd && runs.at(-1)?.to === bytes.length;
  return decoded.finish(isCut);
}
