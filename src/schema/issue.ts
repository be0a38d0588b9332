// A fault of the file with its position, and the report of all faults.

export type Path = readonly (string | number)[];

/**
 * A fault or warning of a check. The message has one form for the found and the allowed value:
 * `found 0, allowed: a whole number from 1 to 20`.
 */
export interface Fault {
  readonly path: Path;
  readonly message: string;
  /** `did you mean "qos"?`, `write 10000`. */
  readonly suggestion?: string | null | undefined;
}

/** A fault with its position in the text. */
export interface Issue {
  /** Counts from 1. */
  readonly line: number;
  /** Counts from 1. */
  readonly column: number;
  /** `entrypoints[0].configuration.http.readTimeout`; empty: the file as a whole. */
  readonly path: string;
  readonly message: string;
  readonly suggestion: string | null;
  /** The faulty line without secrets; null: the path is enough. */
  readonly excerpt: Excerpt | null;
}

export interface Excerpt {
  readonly text: string;
  /** Counts from 1. */
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

/** The value at `path` inside `root`; undefined: there is none. */
export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, key) : undefined),
    root,
  );
}

/** Joins the message and its suggestion. */
export function describeFault({ message, suggestion }: Pick<Fault, "message" | "suggestion">): string {
  return suggestion === null || suggestion === undefined ? message : `${message}; ${suggestion}`;
}

/** Puts the path before the message: `entrypoints[0].qos: …`. */
export function describeIssue({ path, ...fault }: Pick<Issue, "path" | "message"> & Partial<Issue>): string {
  return path === "" ? describeFault(fault) : `${path}: ${describeFault(fault)}`;
}

/** Extracts the found and the allowed value from the message; null: the message has none. */
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

/** Two lines: the excerpt, and a mark below the column of the fault. */
function formatExcerpt({ line, excerpt }: Issue): readonly string[] {
  if (excerpt === null) return [];
  const margin = `    ${line} | `;
  const mark = `${" ".repeat(margin.length - 2)}| ${" ".repeat(excerpt.column - 1)}^`;
  return [`${margin}${excerpt.text}`, mark];
}
