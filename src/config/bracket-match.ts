// Finds the missing or surplus bracket of a text by the indent of its line.

export interface SyntaxFault {
  readonly offset: number;
  /** Contains no text of the file except words that the schema knows: anything else may be a secret. */
  readonly problem: string;
  readonly suggestion: string | null;
}

type Bracket = "{" | "[";
export const CLOSING = { "{": "}", "[": "]" } as const;

/** An object or a list whose closing bracket has not come yet. */
export interface Frame {
  readonly bracket: Bracket;
  readonly at: number;
  /** The indent of the line in which it begins, in characters. */
  readonly indent: number;
}

/**
 * Finds the missing or surplus bracket by indents: a closing bracket that begins its line has the indent of the line in
 * which its opening bracket stands.
 */
export function createBracketMatcher(source: string, lines: LineCursor) {
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

  /** The earlier bracket that closed too soon what should have stayed open until now. */
  function toExcess({ at }: Frame, indent: number): SyntaxFault | null {
    const early = closed.findLast(({ open }) => open.at > at && open.indent === indent);
    if (early === undefined) return null;
    const bracket = source[early.at] ?? "";
    return { offset: early.at, problem: `a ${bracket} too many in this line`, suggestion: "delete it" };
  }

  return { close, findMisplaced: () => misplaced };
}

interface LineCursor {
  /** Moves forward only, so that a file of one long line costs linear time. */
  readonly moveTo: (offset: number) => void;
  /** The indent of the token's line, in characters. */
  readonly indent: () => number;
  /** True: the token is the first one of its line. */
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
