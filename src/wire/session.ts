// Who signs in, and how: the bodies of `/api/session`.

import * as v from "valibot";
import { component } from "./component.ts";
import { dateOrNull, textOrNull, texts, type ViewOf, word } from "./view.ts";

export const credentialsSchema = component(
  "Credentials",
  v.union([
    v.strictObject({ token: v.string() }),
    v.strictObject({ username: v.string(), password: v.string() }),
  ]),
  { token: "a-token-that-nobody-guesses" },
);

export const sessionSchema = component(
  "Session",
  v.strictObject({
    auth: word("What `server.auth` asks for", ["none", "token", "basic", "jwt"]),
    signedIn: v.pipe(v.boolean(), v.description("True: requests of this caller are let in")),
    identity: v.nullable(
      v.variant("kind", [
        v.strictObject({ kind: v.literal("operator") }),
        v.strictObject({
          kind: v.literal("jwt"),
          scopes: texts("Scopes of the token"),
          subject: textOrNull("The `sub` of the token"),
        }),
      ]),
    ),
    expiresAt: dateOrNull("When the session ends"),
  }),
  {
    auth: "jwt",
    signedIn: true,
    identity: { kind: "jwt", scopes: ["relay:read", "relay:write"], subject: "shop" },
    expiresAt: "2026-02-01T00:00:00.000Z",
  },
);

export type CredentialsBody = v.InferInput<typeof credentialsSchema>;

export type SessionView = ViewOf<typeof sessionSchema>;
