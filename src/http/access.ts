// PURE. Decides who may do what, from the identity of the caller and the area of the route.

export type Identity =
  /** May do everything. */
  | { readonly kind: "operator" }
  | {
      readonly kind: "jwt";
      readonly scopes: readonly string[];
      /** Null: the token has none. */
      readonly subject: string | null;
    };

/** What a request that was let in may see and change. */
export type Access =
  | { readonly kind: "all" }
  /** Only subscriptions of this application; any other is not there. */
  | { readonly kind: "application"; readonly application: string };

/** `open`: for everybody; `entrypoint`: below a `contextPath`; `control`: all the rest. */
type Area = "open" | "control" | "entrypoint";

export interface Places {
  /** Read without credentials, such as `/livez` and `/readyz`. */
  readonly openPaths: ReadonlySet<string>;
  readonly contextPaths: readonly string[];
}

/** The route to sign in and out, below `/api` and below each context path. It needs no credentials except those in its body. */
export const SESSION_PATH = "/session";

export function areaOf({ method, path }: { method: string; path: string }, places: Places): Area {
  const { contextPaths, openPaths } = places;
  if (["/api", ...contextPaths].some((prefix) => path === prefix + SESSION_PATH)) return "open";
  if (openPaths.has(path) || isPage(path, contextPaths)) return isReading(method) ? "open" : "control";
  return contextPaths.some((contextPath) => isBelow(path, contextPath)) ? "entrypoint" : "control";
}

/** The pages with their parts, of operators at `/` and of consumers at each context path: they hold nothing of the relay. */
function isPage(path: string, contextPaths: readonly string[]): boolean {
  if (path === "/" || isBelow(path, "/page")) return true;
  return contextPaths.some(
    (contextPath) => [contextPath, `${contextPath}/`].includes(path) || isBelow(path, `${contextPath}/page`),
  );
}

function isBelow(path: string, prefix: string): boolean {
  return `${path}/`.startsWith(`${prefix}/`);
}

type AccessDecision =
  | { readonly kind: "granted"; readonly access: Access }
  /** `scope`: what the token would need. */
  | { readonly kind: "denied"; readonly scope: string; readonly detail: string };

export function decideAccess(
  identity: Identity,
  { method, area }: { method: string; area: Exclude<Area, "open"> },
): AccessDecision {
  const needed = isReading(method) ? "relay:read" : "relay:write";
  if (identity.kind === "operator" || identity.scopes.includes(needed)) {
    return { kind: "granted", access: { kind: "all" } };
  }
  if (area === "control") {
    return { kind: "denied", scope: needed, detail: `The token lacks the scope ${needed}` };
  }
  if (!identity.scopes.includes("relay:subscribe")) {
    const detail = `The token lacks the scope relay:subscribe or ${needed}`;
    return { kind: "denied", scope: `relay:subscribe ${needed}`, detail };
  }
  if (identity.subject === null) {
    const detail = "The token has no sub, so it is nobody's subscriptions that it may see";
    return { kind: "denied", scope: "relay:subscribe", detail };
  }
  return { kind: "granted", access: { kind: "application", application: identity.subject } };
}

/** Safe methods: they change nothing, and browsers send them without a preflight. */
export function isReading(method: string): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}
