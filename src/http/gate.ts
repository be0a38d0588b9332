// Checks every request before its route: Host and Origin, credentials, number in flight, size of the body.

import type { MiddlewareHandler } from "hono";
import type { ServerContext, ServerEnv } from "./caller.ts";
import { type Access, areaOf, decideAccess, type Identity, isReading, type Places } from "./access.ts";
import { type Auth, readCredentials } from "./auth.ts";
import { readBody } from "./body.ts";
import {
  type Listen,
  refuseContentType,
  refuseForeignWrite,
  refuseHost,
  SECURITY_HEADERS,
  withoutPrompt,
} from "./browser.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { Sessions } from "./session.ts";
import { findSession } from "./sign-in.ts";
import type { ServerSlots } from "./slots.ts";

export interface GateOptions extends Places {
  readonly auth: Auth;
  readonly sessions: Sessions;
  readonly slots: Pick<ServerSlots, "requests">;
  /** Null: there is no listener but the control socket. */
  readonly listen: Listen | null;
  readonly bodyWithinMs?: number;
}

type Admission =
  | {
      readonly kind: "admitted";
      readonly access: Access;
      /** Null: it is open to everybody, and costs little. */
      readonly tenant: string | null;
      readonly isStillAdmitted: () => boolean;
    }
  | { readonly kind: "refused"; readonly problem: Problem };

interface Identified {
  readonly kind: "identified";
  readonly identity: Identity;
  readonly isStillAdmitted: () => boolean;
}

const MAX_BODY_BYTES = 1_048_576;
/** For open routes: enough for credentials. */
const MAX_OPEN_BODY_BYTES = 65_536;
const EVERYTHING = { kind: "admitted", access: { kind: "all" }, isStillAdmitted: () => true } as const;
const READING_ONLY: Problem = {
  status: 403,
  detail: "Over this subject one may read only: send it to the one without .read",
};
const TOO_MANY: Problem = {
  status: 429,
  detail: "Too many requests of the same sender are under way already",
  headers: { "retry-after": "1" },
};

/** Sets `access` in the context of the routes, and reads the whole body. */
export function createGate(options: GateOptions): MiddlewareHandler<ServerEnv> {
  const { contextPaths, slots, bodyWithinMs = 10_000 } = options;
  const isKept = (path: string) =>
    ["/api", ...contextPaths].some((prefix) => `${path}/`.startsWith(`${prefix}/`));

  async function enter(context: ServerContext): Promise<Problem | null> {
    const admission = await admit(context, options);
    if (admission.kind === "refused") return admission.problem;
    const { tenant } = admission;
    if (tenant !== null && !slots.requests.take(tenant, context.env.over)) return TOO_MANY;
    context.set("access", admission.access);
    context.set("tenant", tenant ?? "");
    context.set("isStillAdmitted", admission.isStillAdmitted);
    const { raw } = context.req;
    if (isReading(raw.method) || raw.body === null) return null;
    const maxBytes = tenant === null ? MAX_OPEN_BODY_BYTES : MAX_BODY_BYTES;
    const result = await readBody(raw, { maxBytes, withinMs: bodyWithinMs });
    if (result.kind === "refused") return result.problem;
    context.req.raw = new Request(raw, { method: raw.method, body: result.body });
    return null;
  }

  return async (context, next) => {
    const problem = await enter(context);
    if (problem === null) await next();
    else context.res = toProblemResponse(withoutPrompt(problem, context.req.raw));
    const { headers } = context.res;
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) {
      if (!headers.has(name)) context.header(name, value);
    }
    if (isKept(context.req.path) && !headers.has("cache-control")) {
      context.header("cache-control", "no-store");
    }
  };
}

async function admit(context: ServerContext, options: GateOptions): Promise<Admission> {
  const { caller } = context.env;
  const { raw, path } = context.req;
  const wrongType = refuseContentType(raw);
  if (caller.kind === "socket") {
    return wrongType === null ? { ...EVERYTHING, tenant: "the control socket" } : refuse(wrongType);
  }
  if (caller.kind === "nats") {
    if (!caller.mayWrite && !isReading(raw.method)) return refuse(READING_ONLY);
    return wrongType === null ? { ...EVERYTHING, tenant: caller.tenant } : refuse(wrongType);
  }
  const { listen } = options;
  if (listen === null) return refuse({ status: 421, detail: "There is no listener for the network" });
  const foreign = refuseHost(raw, { listen, caller }) ?? refuseForeignWrite(raw, caller) ?? wrongType;
  if (foreign !== null) return refuse(foreign);
  const area = areaOf({ method: raw.method, path }, options);
  if (area === "open") return { ...EVERYTHING, tenant: null };
  const found = await identify(context, { ...options, address: caller.address });
  if (found.kind === "refused") return found;
  const decision = decideAccess(found.identity, { method: raw.method, area });
  const { isStillAdmitted } = found;
  if (decision.kind === "granted") {
    const tenant = tenantOf(found.identity);
    return { kind: "admitted", access: decision.access, tenant, isStillAdmitted };
  }
  const challenge = `Bearer realm="relay", error="insufficient_scope", scope="${decision.scope}"`;
  return refuse({ status: 403, detail: decision.detail, headers: { "www-authenticate": challenge } });
}

/** Whether the caller of an open route may read the other routes too. Wrong credentials count as none. */
export async function mayReadAll(
  context: ServerContext,
  options: Pick<GateOptions, "auth" | "sessions">,
): Promise<boolean> {
  const { caller } = context.env;
  if (caller.kind !== "network") return true;
  const found = await identify(context, { ...options, address: caller.address });
  if (found.kind === "refused") return false;
  return decideAccess(found.identity, { method: "GET", area: "control" }).kind === "granted";
}

/** The Authorization header takes precedence over the cookie. */
async function identify(
  context: ServerContext,
  { auth, sessions, address }: { auth: Auth; sessions: Sessions; address: string },
): Promise<Identified | Extract<Admission, { kind: "refused" }>> {
  const { headers } = context.req.raw;
  const session = headers.has("authorization") ? null : findSession(context, sessions);
  if (session !== null) {
    const isStillAdmitted = () => findSession(context, sessions) !== null;
    return { kind: "identified", identity: session.identity, isStillAdmitted };
  }
  const result = await auth.authenticate(readCredentials(headers), {
    address,
    signal: context.req.raw.signal,
  });
  if (result.kind === "refused") return result;
  const endsAt = result.expiresAt ?? Infinity;
  return { kind: "identified", identity: result.identity, isStillAdmitted: () => Date.now() < endsAt };
}

/** All operators share one tenant, and so do all tokens without a subject. */
function tenantOf(identity: Identity): string {
  return identity.kind === "operator" ? "operators" : `sub ${identity.subject ?? ""}`;
}

function refuse(problem: Problem): Extract<Admission, { kind: "refused" }> {
  return { kind: "refused", problem };
}
