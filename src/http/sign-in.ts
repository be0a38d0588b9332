// `/api/session`: signs in with credentials, sets a session cookie, and signs out.

import { type Context, Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import * as v from "valibot";
import { credentialsSchema, sessionSchema, type SessionView } from "#wire/session.ts";
import { describe, empty, json, type Operation } from "./operation.ts";
import type { Auth, Credentials } from "./auth.ts";
import { withoutPrompt } from "./browser.ts";
import type { Caller, ServerEnv } from "./caller.ts";
import { type Problem, toProblemResponse } from "./problem.ts";
import type { Session, Sessions } from "./session.ts";

interface SignInOptions {
  readonly auth: Auth;
  readonly sessions: Sessions;
}

const SHOW: Operation = {
  id: "showSession",
  tag: "Session",
  summary: "Shows how to sign in, and who is signed in",
  description: "`signedIn` says whether this request would be let in.",
  access: "open",
  answers: [json(sessionSchema, "The session of the cookie, if there is one")],
};
const SIGN_IN: Operation = {
  id: "signIn",
  tag: "Session",
  summary: "Signs in with credentials, and sets a cookie",
  description: "The cookie stands for the credentials, for 12 hours at most. No script can read it.",
  access: "open",
  body: {
    schema: credentialsSchema,
    isRequired: true,
    description: "`token` for `server.auth` token and jwt, else `username` and `password`",
  },
  answers: [json(sessionSchema, "Signed in", { headers: ["Set-Cookie"] })],
  problems: [401, 422, 429],
};
const SIGN_OUT: Operation = {
  id: "signOut",
  tag: "Session",
  summary: "Signs out, and clears the cookie",
  description: "The session ends, for every copy of the cookie.",
  access: "open",
  answers: [empty("Nobody is signed in", { headers: ["Set-Cookie"] })],
};

/** For `SESSION_PATH`. */
export function createSignIn({ auth, sessions }: SignInOptions): Hono<ServerEnv> {
  const routes = new Hono<ServerEnv>();
  const refuse = (context: Context<ServerEnv>, problem: Problem) =>
    toProblemResponse(withoutPrompt(problem, context.req.raw));

  routes.get("/", describe(SHOW), (context) =>
    context.json(toView(auth, { caller: context.env.caller, session: findSession(context, sessions) })),
  );

  routes.post("/", describe(SIGN_IN), async (context) => {
    const { caller } = context.env;
    // Without credentials there is no need for a cookie.
    if (auth.kind === "none" || caller.kind !== "network")
      return context.json(toView(auth, { caller, session: null }));
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
    return context.json(toView(auth, { caller, session }));
  });

  routes.delete("/", describe(SIGN_OUT), (context) => {
    const { caller } = context.env;
    const name = cookieName(caller);
    const value = getCookie(context, name);
    if (value !== undefined) sessions.close(value);
    deleteCookie(context, name, cookieOptions(caller));
    return context.body(null, 204);
  });

  return routes;
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

function toView(
  { kind: auth }: Auth,
  { caller, session }: { caller: Caller; session: Session | null },
): SessionView {
  const isSignedIn = auth === "none" || caller.kind !== "network" || session !== null;
  const expiresAt = session === null ? null : new Date(session.expiresAt).toISOString();
  return { auth, signedIn: isSignedIn, identity: session?.identity ?? null, expiresAt };
}

/** The port is part of the name: browsers share cookies between the ports of a host. */
function cookieName(caller: Caller): string {
  if (caller.kind !== "network") return "relay-session";
  return caller.isSecure ? `__Host-relay-session-${caller.port}` : `relay-session-${caller.port}`;
}

function cookieOptions(caller: Caller) {
  const secure = caller.kind === "network" && caller.isSecure;
  return { path: "/", httpOnly: true, sameSite: "Strict", secure } as const;
}
