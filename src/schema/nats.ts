// The schema of `nats`: how to reach the cluster.

import * as v from "valibot";
import { LITERAL_SUBJECT } from "#delivery/subject.ts";
import { flag, list, object, path, text, variantMessage } from "./parts.ts";
import { referable, secret, secretReference } from "./secret.ts";

const server = text("A server", {
  pattern: /^(?:(?:nats|tls):\/\/)?(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?\/?$/u,
  allowed: "nats://host:port or tls://host:port, without credentials (those belong in nats.auth)",
});

const auth = v.pipe(
  v.variant(
    "type",
    [
      object({ type: v.literal("none") }),
      object({
        type: v.literal("user"),
        username: referable("User name"),
        password: secret("Password"),
      }),
      object({ type: v.literal("token"), value: secret("The token") }),
      object({ type: v.literal("nkey"), seed: secret("The seed of a user, `SU…`") }),
      object({
        type: v.literal("creds"),
        content: secretReference("A reference to a `.creds` file, read again at each reconnect"),
      }),
    ],
    variantMessage,
  ),
  v.description("How Relay signs in: `none`, `user`, `token`, `nkey` or `creds`"),
);

const tls = v.pipe(
  object({
    caFile: v.optional(path("Certificates to trust instead of the system's")),
    certFile: v.optional(path("Client certificate; needs `keyFile`")),
    keyFile: v.optional(path("Key of the client certificate")),
    handshakeFirst: v.optional(flag("Start TLS before the server's greeting"), false),
  }),
  v.description("TLS to the servers"),
);

export const natsSchema = v.pipe(
  object({
    servers: v.optional(list(server, { description: "Servers of one cluster", min: 1, max: 64 }), [
      "nats://127.0.0.1:4222",
    ]),
    auth: v.optional(auth, { type: "none" }),
    tls: v.optional(tls),
    inboxPrefix: v.optional(
      text("Prefix of the subjects that answers come to, for accounts with narrow permissions", {
        pattern: LITERAL_SUBJECT,
        allowed: "a NATS subject without wildcards",
      }),
      "_INBOX",
    ),
  }),
  v.description("How to reach NATS"),
);
