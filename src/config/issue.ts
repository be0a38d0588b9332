// A fault of the file: where it is, and what is wrong; and the report of all of them.

export type Path = readonly (string | number)[];

/** A fault as a check finds it. */
export interface Fault {
  readonly path: Path;
  readonly message: string;
}

/** A fault with its place in the text. */
export interface Issue {
  /** 1 is the first. */
  readonly line: number;
  /** 1 is the first. */
  readonly column: number;
  /** `entrypoints[0].configuration.http.readTimeout`; empty: the file as a whole. */
  readonly path: string;
  readonly message: string;
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

/** `relay.config.json:12:9 entrypoints[0].qos: found "ALWAYS", allowed: NONE, AUTO` */
export function formatIssue(fileName: string, issue: Issue): string {
  const place = `${fileName}:${issue.line}:${issue.column}`;
  const message = cut(issue.message, MAX_MESSAGE_LENGTH);
  return issue.path === ""
    ? `${place} ${message}`
    : `${place} ${cut(issue.path, MAX_PATH_LENGTH)}: ${message}`;
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

export function formatReport(fileName: string, issues: readonly Issue[]): string {
  const count = issues.length === 1 ? "1 fault" : `${issues.length} faults`;
  const lines = issues.slice(0, MAX_REPORTED).map((issue) => `  ${formatIssue(fileName, issue)}`);
  const rest = issues.length > MAX_REPORTED ? [`  and ${issues.length - MAX_REPORTED} more`] : [];
  return [`${fileName} is not valid, ${count}:`, ...lines, ...rest].join("\n");
}
