// Memoizes the last result of a function of text: consecutive messages ask for the same text again and again. PURE.

/** The same function, but a repeated argument returns the last result. */
export function memoizeLast(toText: (text: string) => string): (text: string) => string {
  let last: { readonly text: string; readonly result: string } | null = null;
  return (text) => {
    if (text !== last?.text) last = { text, result: toText(text) };
    return last.result;
  };
}
