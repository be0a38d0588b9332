// What is told again and again for the same text, as of messages that follow each other, and worked out once.

/** The same function, which remembers its last answer. */
export function withMemory(toText: (text: string) => string): (text: string) => string {
  let last: { readonly text: string; readonly result: string } | null = null;
  return (text) => {
    if (text !== last?.text) last = { text, result: toText(text) };
    return last.result;
  };
}
