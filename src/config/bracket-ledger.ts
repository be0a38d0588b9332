// Finds the missing or surplus bracket of a text by the indent of its line.

export interface SyntaxFault {
  readonly offset: number;
  /** What is wrong; it shows nothing of the text but words that the schema knows. */
  readonly problem: string;
  readonly suggestion: string | null;
}

type Bracket = "{" | "[";
export const CLOSING = { "{": "}", "[": "]" } as const;

/** An object or a list that is open. */
export interface Frame {
  readonly bracket: Bracket;
  readonly at: number;
  /** Of the line in which it begins. */
  readonly indent: number;
}

/**
 * Finds the bracket that is missing or too many by the indent of its line: a closing bracket that is the first of its line
 * stands below the line of its opening one.
 */
export function createBracketLedger(source: string, lines: LineCursor) {
  const closed: { readonly open: Frame; readonly at: number }[] = [];
  let misplaced: SyntaxFault | null = null;

  function close(open: Frame, at: number): void {
    const indent = lines.indent();
    if (misplaced === null && lines.isFirst() && indent !== open.indent) {
      misplaced = indent < open.indent ? toUnclosed(open, at) : toExcess(open, indent);
    }
    closed.push({ open, at });
  }

  function toUnclosed({ bracket, at: offset }: Frame, at: number): SyntaxFault {
    const suggestion = `write ${CLOSING[bracket]} where it ends: the next one, in line ${lineOf(source, at)}, closes another one`;
    return { offset, problem: `this ${bracket} is not closed`, suggestion };
  }

  /** The one that closed what should have been open until now. */
  function toExcess({ at }: Frame, indent: number): SyntaxFault | null {
    const early = closed.findLast(({ open }) => open.at > at && open.indent === indent);
    if (early === undefined) return null;
    const bracket = source[early.at] ?? "";
    return { offset: early.at, problem: `a ${bracket} too many in this line`, suggestion: "delete it" };
  }

  return { close, findMisplaced: () => misplaced };
}

interface LineCursor {
  /** To the next token, never back: a file may be one long line. */
  readonly moveTo: (offset: number) => void;
  /** Of the line that the token is in. */
  readonly indent: () => number;
  /** Whether the token is the first one of its line. */
  readonly isFirst: () => boolean;
}

export function createLineCursor(source: string): LineCursor {
  let next = 0;
  let indent = 0;
  let isFirst = true;
  return {
    moveTo: (offset) => {
      let start = -1;
      while (next !== -1 && next <= offset) {
        start = next;
        const end = source.indexOf("\n", next);
        next = end === -1 ? -1 : end + 1;
      }
      isFirst = start !== -1;
      if (isFirst) indent = offset - start;
    },
    indent: () => indent,
    isFirst: () => isFirst,
  };
}

export function lineOf(source: string, offset: number): number {
  return source.slice(0, offset).split("\n").length;
}
