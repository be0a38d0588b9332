// Signing in and out: credentials once, then a cookie that stands for them.

import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import * as v from "valibot";
import type { sessionSchema } from "#wire/session.ts";
import { credentialsSchema } from "#wire/session.ts";
import type { View } from "#wire/view.ts";
import type { Auth, Credentials } from "./auth.ts";
import { withoutPrompt } from "./browser.ts";
import type { Caller, ServerEnv } from "./caller.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { Session, Sessions } from "./session.ts";

type Handler = (context: Context<ServerEnv>) => Response | Promise<Response>;

/** For `SESSION_PATH`. */
export interface SignIn {
  /** GET: how one signs in here, and who is signed in. */
  readonly show: Handler;
  /** POST of `{ "token" }` or `{ "username", "password" }`. */
  readonly signIn: Handler;
  /** DELETE. */
  readonly signOut: Handler;
}

export interface SignInOptions {
  readonly auth: Auth;
  readonly sessions: Sessions;
}

export function createSignIn({ auth, sessions }: SignInOptions): SignIn {
  const refuse = (context: Context<ServerEnv>, problem: Problem) =>
    toProblemResponse(withoutPrompt(problem, context.req.raw));

  return {
    show: (context) =>
      context.json(describe(auth, { caller: context.env.caller, session: findSession(context, sessions) })),
    async signIn(context) {
      const { caller } = context.env;
      // Who needs no credentials needs no cookie either.
      if (auth.kind === "none" || caller.kind === "socket")
        return context.json(describe(auth, { caller, session: null }));
      const credentials = parseCredentials(await context.req.json().catch(() => null));
      if (credentials === null) {
        const detail = 'The body must be { "token" } or { "username", "password" }, with strings';
        return refuse(context, { status: 422, detail });
      }
      const result = await auth.authenticate(credentials, {
        address: caller.address,
        signal: context.req.raw.signal,
      });
      if (result.kind === "refused") return refuse(context, result.problem);
      const { value, ...session } = sessions.open(result);
      setCookie(context, cookieName(caller), value, {
        ...cookieOptions(caller),
        maxAge: Math.max(0, Math.floor((session.expiresAt - Date.now()) / 1000)),
      });
      return context.json(describe(auth, { caller, session }));
    },
    signOut(context) {
      const { caller } = context.env;
      const name = cookieName(caller);
      const value = getCookie(context, name);
      if (value !== undefined) sessions.close(value);
      deleteCookie(context, name, cookieOptions(caller));
      return context.body(null, 204);
    },
  };
}

/** Null: there is no cookie, or its session has ended. */
export function findSession(context: Context<ServerEnv>, sessions: Sessions): Session | null {
  const value = getCookie(context, cookieName(context.env.caller));
  return value === undefined ? null : sessions.find(value);
}

function parseCredentials(body: unknown): Credentials | null {
  const result = v.safeParse(credentialsSchema, body);
  if (!result.success) return null;
  const { output } = result;
  return "token" in output ? { kind: "bearer", token: output.token } : { kind: "basic", ...output };
}

function describe(
  { kind: auth }: Auth,
  { caller, session }: { caller: Caller; session: Session | null },
): View<typeof sessionSchema> {
  const isSignedIn = auth === "none" || caller.kind === "socket" || session !== null;
  const expiresAt = session === null ? null : new Date(session.expiresAt).toISOString();
  return { auth, signedIn: isSignedIn, identity: session?.identity ?? null, expiresAt };
}

/** Cookies know no ports: two relays on one host would take each other's. */
function cookieName(caller: Caller): string {
  if (caller.kind === "socket") return "relay-session";
  return caller.isSecure ? `__Host-relay-session-${caller.port}` : `relay-session-${caller.port}`;
}

function cookieOptions(caller: Caller) {
  const secure = caller.kind === "network" && caller.isSecure;
  return { path: "/", httpOnly: true, sameSite: "Strict", secure } as const;
}
