// The schema of `server`: what Relay listens on, and who may come in.

import * as v from "valibot";
import { object, path, text, variantMessage } from "./parts.ts";
import { referable, secret } from "./secret.ts";

const LISTEN = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/u;

const listen = text("`host:port`; `null`: no TCP listener", {
  pattern: LISTEN,
  allowed: "host:port such as 127.0.0.1:8080, or null",
});

const word = (description: string) =>
  text(description, { pattern: /^[^\p{Cc}]{1,2048}$/u, allowed: "1 to 2048 printable characters" });

const auth = v.pipe(
  v.variant(
    "type",
    [
      object({ type: v.literal("none") }),
      object({ type: v.literal("token"), value: secret("The token that callers send as `Bearer`") }),
      object({
        type: v.literal("basic"),
        username: referable("User name"),
        password: secret("Password"),
      }),
      object({
        type: v.literal("jwt"),
        jwksUri: v.optional(
          text("Where the keys are published; this or `keyFile`", {
            pattern: /^https?:\/\/[^\s@]{1,2000}$/u,
            allowed: "an http:// or https:// URL without user information",
          }),
        ),
        keyFile: v.optional(path("The public key, or a set of keys; this or `jwksUri`")),
        issuer: word("The `iss` that tokens must have"),
        audience: word("The `aud` that tokens must have"),
      }),
    ],
    variantMessage,
  ),
  v.description("Who may call the API: `none` (on loopback only), `token`, `basic` or `jwt`"),
);

export const serverSchema = v.pipe(
  object({
    listen: v.optional(v.nullable(listen), "127.0.0.1:8080"),
    tls: v.optional(
      v.pipe(
        object({ certFile: path("Certificate chain"), keyFile: path("Key of the certificate") }),
        v.description("TLS of the listener"),
      ),
    ),
    auth: v.optional(auth, { type: "none" }),
    controlSocket: v.optional(
      v.pipe(
        path("Unix socket of the command line, mode 0660"),
        v.metadata({ fallback: "`$RUNTIME_DIRECTORY/relay.sock`, else `<state.directory>/relay.sock`" }),
      ),
    ),
  }),
  v.description("What Relay listens on"),
);
