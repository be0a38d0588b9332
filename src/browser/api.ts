// Calls the API of Relay. The answer is a value, also when it is refused.

export type CallResult<T> =
  | { readonly kind: "ok"; readonly body: T }
  /** `text`: what was wrong, for people; `status` 0: nobody answered. */
  | { readonly kind: "refused"; readonly status: number; readonly text: string };

interface CallOptions {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly body?: unknown;
  readonly withinMs?: number;
}

interface ProblemBody {
  readonly title?: string;
  readonly detail?: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}

const WITHIN_MS = 10_000;

let onSignedOut: () => void = () => undefined;
let onReached: (isReached: boolean) => void = () => undefined;

/** What is to happen when the session is over, and when Relay stops answering or answers again. */
export function watchCalls(watch: { signedOut: () => void; reached: (isReached: boolean) => void }): void {
  onSignedOut = watch.signedOut;
  onReached = watch.reached;
}

export async function call<T>(path: string, options: CallOptions = {}): Promise<CallResult<T>> {
  const { method = "GET", body, withinMs = WITHIN_MS } = options;
  try {
    const response = await fetch(path, {
      method,
      signal: AbortSignal.timeout(withinMs),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    onReached(true);
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    const content: unknown = isJson ? await response.json() : null;
    if (response.ok) return { kind: "ok", body: content as T };
    if (response.status === 401 && path !== "/api/session") onSignedOut();
    return { kind: "refused", status: response.status, text: describe(response, content) };
  } catch {
    onReached(false);
    return { kind: "refused", status: 0, text: "Relay does not answer" };
  }
}

/** A path with those of `query` that have a value. */
export function withQuery(path: string, query: Readonly<Record<string, string | null | undefined>>): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string" && entry[1] !== "",
  );
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`;
}

function describe({ status }: Response, content: unknown): string {
  const { title = `Status ${status}`, detail = title, errors = [] } = (content ?? {}) as ProblemBody;
  return [detail, ...errors.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))].join(
    ". ",
  );
}
