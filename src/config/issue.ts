// A fault of the file with its position, and the report of all faults.

export type Path = readonly (string | number)[];

/**
 * A fault or warning of a check. The message has one form for the found and the allowed value:
 * `found 0, allowed: a whole number from 1 to 20`.
 */
export interface Fault {
  readonly path: Path;
  readonly message: string;
  /** The suggestion: `did you mean "qos"?`, `write 10000`. */
  readonly suggestion?: string | null | undefined;
}

/** A fault with its position in the text. */
export interface Issue {
  /** 1 is the first. */
  readonly line: number;
  /** 1 is the first. */
  readonly column: number;
  /** `entrypoints[0].configuration.http.readTimeout`; empty: the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly suggestion: string | null;
  /** The line without secrets, with the column of the fault; null: the path is enough. */
  readonly excerpt: Excerpt | null;
}

export interface Excerpt {
  readonly text: string;
  /** 1 is the first. */
  readonly column: number;
}

const MAX_REPORTED = 100;
const MAX_PATH_LENGTH = 200;
const MAX_MESSAGE_LENGTH = 1000;

export function formatPath(path: Path): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else if (/^[\w$-]+$/u.test(key)) text += text === "" ? key : `.${key}`;
    else text += `[${JSON.stringify(key)}]`;
  }
  return text;
}

/** The message with its suggestion. */
export function describeFault({ message, suggestion }: Pick<Fault, "message" | "suggestion">): string {
  return suggestion === null || suggestion === undefined ? message : `${message}; ${suggestion}`;
}

/** With the path before it: `entrypoints[0].qos: …`. */
export function describeIssue({ path, ...fault }: Pick<Issue, "path" | "message"> & Partial<Issue>): string {
  return path === "" ? describeFault(fault) : `${path}: ${describeFault(fault)}`;
}

/** The found and the allowed value in the message of an issue; null: the message has none. */
export function faultParts({ path, message }: Pick<Issue, "path" | "message">): {
  readonly found: string | null;
  readonly allowed: string | null;
} {
  const isKey = message.startsWith("unknown key");
  const found = /(?:^|, )found ("[^"]*"|.+?)(?:,|$)|^no .* is named ("[^"]*")/u.exec(message);
  const allowed = /(?:^|, )(?:allowed|known)(?: here)?: (.+)$/u.exec(message);
  return {
    found: isKey ? (/[^.[\]"]+(?="?\]?$)/u.exec(path)?.[0] ?? path) : (found?.[1] ?? found?.[2] ?? null),
    allowed: allowed?.[1] ?? null,
  };
}

/** `relay.config.json:12:9 entrypoints[0].qos: found "ALWAYS", allowed: NONE, AUTO` */
export function formatIssue(fileName: string, issue: Issue): string {
  const place = `${fileName}:${issue.line}:${issue.column}`;
  const message = cut(describeFault(issue), MAX_MESSAGE_LENGTH);
  return issue.path === ""
    ? `${place} ${message}`
    : `${place} ${cut(issue.path, MAX_PATH_LENGTH)}: ${message}`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

export function formatReport(fileName: string, issues: readonly Issue[]): string {
  const count = issues.length === 1 ? "1 fault" : `${issues.length} faults`;
  const lines = issues
    .slice(0, MAX_REPORTED)
    .flatMap((issue) => [`  ${formatIssue(fileName, issue)}`].concat(formatExcerpt(issue)));
  const rest = issues.length > MAX_REPORTED ? [`  and ${issues.length - MAX_REPORTED} more`] : [];
  return [`${fileName} is not valid, ${count}:`, ...lines, ...rest].join("\n");
}

/** The line, and below it a mark. */
function formatExcerpt({ line, excerpt }: Issue): readonly string[] {
  if (excerpt === null) return [];
  const margin = `    ${line} | `;
  const mark = `${" ".repeat(margin.length - 2)}| ${" ".repeat(excerpt.column - 1)}^`;
  return [`${margin}${excerpt.text}`, mark];
}
