// The schema of a subscription's `auth` and `signature`: how the callback knows who calls.

import * as v from "valibot";
import { choice, flag, integer, list, object, text, variantMessage } from "./parts.ts";
import { referable, secret } from "./secret.ts";

const basic = v.pipe(
  object({ username: referable("User name"), password: secret("Password") }),
  v.description("Basic authentication"),
);

const token = v.pipe(
  object({ value: secret("Sent as `Authorization: Bearer`") }),
  v.description("A fixed token"),
);

/** RFC 6749, 8.2 defines the form of parameter names. */
const tokenEntries = {
  parameters: v.optional(
    list(
      object({
        name: text("Name", {
          pattern: /^[A-Za-z0-9._-]{1,128}$/u,
          allowed: '1 to 128 letters, digits, ".", "-" and "_"',
        }),
        value: secret("Value"),
      }),
      { description: "Further parameters of the token request, such as `resource`", max: 100 },
    ),
    [],
  ),
  tokenType: v.optional(
    text("The `token_type` of the answer, where it is not `Bearer`: `BearerToken` or `JWT`, say", {
      pattern: /^[\x21-\x7e]{1,64}$/u,
      allowed: "1 to 64 printable ASCII characters without blanks",
    }),
    "Bearer",
  ),
};

const oauth2 = v.pipe(
  object({
    endpoint: referable("URL of the token endpoint"),
    clientId: referable("Client id"),
    clientSecret: secret("Client secret"),
    scopes: v.optional(
      list(text("A scope", { pattern: /^[!#-[\]-~]+$/u, allowed: "a scope without blanks" }), {
        description: "Scopes to ask for",
        max: 100,
      }),
      [],
    ),
    audience: v.optional(referable("The `audience` to ask for: for which API the token is")),
    clientAuthentication: v.optional(
      choice("How the client signs in at the token endpoint", ["body", "basic"]),
      "body",
    ),
    ...tokenEntries,
  }),
  v.description("Client credentials"),
);

const ALGORITHMS = ["RSA_RS256", "HMAC_HS256", "HMAC_HS384", "HMAC_HS512"] as const;

const keystoreOptions = v.pipe(
  object({
    alias: v.optional(referable("Entry of the keystore")),
    storePassword: v.optional(secret("Password of the keystore")),
    keyPassword: v.optional(secret("Password of the key")),
  }),
  v.description("For `keySource` PKCS12 and JKS"),
);

const customClaim = object({
  name: text("Name", { pattern: /^[^\p{Cc}]{1,256}$/u, allowed: "1 to 256 printable characters" }),
  value: v.pipe(
    v.string(
      ({ input }) => `found ${typeof input === "number" ? "a number" : "no string"}, allowed: a string`,
    ),
    v.description("Value"),
  ),
});

const jwtProfileOauth2 = v.pipe(
  object({
    issuer: referable("The `iss` of the assertion"),
    subject: referable("The `sub` of the assertion"),
    audience: referable("The `aud` of the assertion"),
    endpoint: v.optional(
      v.pipe(referable("URL of the token endpoint"), v.metadata({ fallback: "the `audience`" })),
    ),
    expirationTime: v.optional(integer("How long an assertion holds", { min: 1, max: 86_400 }), 30),
    expirationTimeUnit: v.optional(
      choice("Unit of `expirationTime`", ["SECONDS", "MINUTES", "HOURS", "DAYS"]),
      "SECONDS",
    ),
    signatureAlgorithm: choice("How the assertion is signed", ALGORITHMS),
    keySource: choice("Form of `keyContent`; PEM, PKCS12 and JKS for RSA only", [
      "INLINE",
      "PEM",
      "PKCS12",
      "JKS",
    ]),
    keyContent: secret("The key, or an absolute path for PEM, PKCS12 and JKS"),
    keyId: v.optional(referable("The `kid` of the assertion")),
    jwtId: v.optional(v.pipe(referable("The `jti` of the assertion"), v.metadata({ fallback: "random" }))),
    secretBase64Encoded: v.optional(flag("An HMAC `keyContent` is in base64"), false),
    x509CertChain: v.optional(choice("Send the certificate chain along", ["NONE", "X5C"]), "NONE"),
    keystoreOptions: v.optional(keystoreOptions),
    customClaims: v.optional(list(customClaim, { description: "Further claims", max: 100 }), []),
    ...tokenEntries,
  }),
  v.description("JWT bearer assertion"),
);

export const authSchema = v.pipe(
  v.variant(
    "type",
    [
      object({ type: v.literal("none") }),
      object({ type: v.literal("basic"), basic }),
      object({ type: v.literal("token"), token }),
      object({ type: v.literal("oauth2"), oauth2 }),
      object({ type: v.literal("jwtProfileOauth2"), jwtProfileOauth2 }),
    ],
    variantMessage,
  ),
  v.description(
    "How Relay signs in at the callback: `none`, `basic`, `token`, `oauth2` or `jwtProfileOauth2`",
  ),
  v.metadata({ fallback: '`{ "type": "none" }`' }),
);

export const signatureSchema = v.pipe(
  object({
    secrets: list(secret("`whsec_` (HMAC-SHA256) or `whsk_` (ed25519) key"), {
      description: "Several keys give several signatures, for rotation",
      min: 1,
      max: 8,
    }),
  }),
  v.description("Standard Webhooks signatures"),
);
