// The schema of a subscription's `ssl`: whom to trust, and with which certificate to sign in.

import * as v from "valibot";
import { absentAsNull, flag, object, path, variantMessage } from "./parts.ts";
import { referable, secret } from "./secret.ts";

/** An absent store in Gravitee's export. */
const NO_STORE = [object({ type: v.literal("NONE") }), object({ type: v.literal("") })] as const;

function withoutNone<Store extends { readonly type: string }>(store: Store) {
  return store.type === "NONE" || store.type === ""
    ? undefined
    : (store as Exclude<Store, { type: "NONE" | "" }>);
}

const pathOrContent = {
  path: v.optional(path("File; this or `content`")),
  content: v.optional(secret("The store itself, PKCS12 and JKS in base64; this or `path`")),
};

const trustStore = v.pipe(
  v.variant(
    "type",
    [
      object({ type: v.literal("PEM"), ...pathOrContent }),
      object({ type: v.literal("PKCS12"), ...pathOrContent, password: secret("Password of the store") }),
      object({ type: v.literal("JKS"), ...pathOrContent, password: secret("Password of the store") }),
      ...NO_STORE,
    ],
    variantMessage,
  ),
  v.description("Certificates to trust instead of the system's: `PEM`, `PKCS12` or `JKS`; `NONE` is none"),
  v.transform(withoutNone),
);

const keystoreEntries = {
  ...pathOrContent,
  password: secret("Password of the store"),
  alias: v.optional(referable("Entry of the store")),
  keyPassword: v.optional(secret("Password of the key")),
};

const keyStore = v.pipe(
  v.variant(
    "type",
    [
      object({
        type: v.literal("PEM"),
        keyPath: v.optional(path("File of the key; this or `keyContent`")),
        keyContent: v.optional(secret("The key; this or `keyPath`")),
        certPath: v.optional(path("File of the certificate; this or `certContent`")),
        certContent: v.optional(secret("The certificate; this or `certPath`")),
      }),
      object({ type: v.literal("PKCS12"), ...keystoreEntries }),
      object({ type: v.literal("JKS"), ...keystoreEntries }),
      ...NO_STORE,
    ],
    variantMessage,
  ),
  v.description("Client certificate: `PEM`, `PKCS12` or `JKS`; `NONE` is none"),
  v.transform(withoutNone),
);

export const sslSchema = v.pipe(
  object({
    hostnameVerifier: v.optional(flag("The certificate must be for the host that is called"), true),
    trustAll: v.optional(flag("Accept any certificate"), false),
    trustStore: v.optional(absentAsNull(trustStore)),
    keyStore: v.optional(absentAsNull(keyStore)),
  }),
  v.description("TLS to the callback"),
  v.metadata({ fallback: "verify" }),
);
