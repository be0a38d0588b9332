// Faults of a subscription's auth, ssl and signature.

import { expect, test } from "bun:test";
import { faultsOf, withDelivery, type Json } from "./parse-for-test.ts";

const D = "subscriptions[0].configuration";
const auth = (type: string, more: Json) => withDelivery({ auth: { type, [type]: more } });
const jwt = (more: Json) =>
  auth("jwtProfileOauth2", {
    issuer: "i",
    subject: "s",
    audience: "https://auth.example.com/",
    signatureAlgorithm: "HMAC_HS256",
    keySource: "INLINE",
    keyContent: "a secret of 32 bytes, as it must",
    ...more,
  });

const USERNAME_FAULT = "allowed: a user name without colons, line breaks and other control characters";
const TOKEN_FAULT =
  "allowed: a token that is not empty, of Latin-1 characters without line breaks and other control characters";

test.each<[string, unknown, readonly string[]]>([
  [
    "a token endpoint that is no URL",
    auth("oauth2", { endpoint: "auth.example.com", clientId: "c", clientSecret: "s" }),
    [`${D}.auth.oauth2.endpoint: allowed: a URL that begins with http:// or https://`],
  ],
  [
    "a token endpoint without a host",
    auth("oauth2", { endpoint: "https://", clientId: "c", clientSecret: "s" }),
    [`${D}.auth.oauth2.endpoint: allowed: a URL with a host, a port up to 65535, and without blanks`],
  ],
  [
    "a token endpoint at port 0",
    auth("oauth2", { endpoint: "https://auth.example.com:0/", clientId: "c", clientSecret: "s" }),
    [`${D}.auth.oauth2.endpoint: found the port 0, allowed: 1 to 65535`],
  ],
  [
    "parameters that have settings of their own",
    auth("oauth2", {
      endpoint: "https://auth.example.com/",
      clientId: "c",
      clientSecret: "s",
      parameters: ["Scope", "audience", "grant_type", "resource"].map((name) => ({ name, value: "v" })),
    }),
    [
      `${D}.auth.oauth2.parameters[0].name: Scope: use scopes`,
      `${D}.auth.oauth2.parameters[1].name: audience: use audience`,
      `${D}.auth.oauth2.parameters[2].name: grant_type: it is set by Relay itself`,
    ],
  ],
  [
    "parameters that an assertion stands for",
    jwt({ parameters: ["scope", "client_id", "assertion"].map((name) => ({ name, value: "v" })) }),
    [`${D}.auth.jwtProfileOauth2.parameters[2].name: assertion: it is set by Relay itself`],
  ],
  [
    "a client id beside the assertion of that client",
    jwt({ subject: "i", parameters: [{ name: "client_id", value: "v" }] }),
    [`${D}.auth.jwtProfileOauth2.parameters[0].name: client_id: it is the issuer`],
  ],
  [
    "a user name with a colon",
    auth("basic", { username: "hunter2:", password: "" }),
    [`${D}.auth.basic.username: ${USERNAME_FAULT}`],
  ],
  [
    "a user name and a password with control characters",
    auth("basic", { username: "hunter2\n", password: "hunter2\u007f" }),
    [
      `${D}.auth.basic.username: ${USERNAME_FAULT}`,
      `${D}.auth.basic.password: allowed: a password without line breaks and other control characters`,
    ],
  ],
  [
    "a keystore for an HMAC",
    jwt({ keySource: "PKCS12", keyContent: "/keys/a.p12" }),
    [`${D}.auth.jwtProfileOauth2.keySource: PKCS12 is for RSA only, allowed: INLINE`],
  ],
  [
    "an audience that cannot stand in for the endpoint",
    jwt({ audience: "relay" }),
    [
      `${D}.auth.jwtProfileOauth2.audience: allowed: a URL that begins with http:// or https://, or an endpoint beside it`,
    ],
  ],
  [
    "a trust store given twice, and a key store without a certificate",
    withDelivery({
      ssl: {
        trustStore: { type: "PEM", path: "/ca.pem", content: "x" },
        keyStore: { type: "PEM", keyPath: "/key.pem" },
      },
    }),
    [
      `${D}.ssl.trustStore.content: excluded by path: give one of them`,
      `${D}.ssl.keyStore.certPath: missing, this or certContent`,
      `${D}.ssl.keyStore.keyPath: cannot read /key.pem: no such file`,
    ],
  ],
  [
    "a signature key that is too short",
    withDelivery({ signature: { secrets: ["whsec_c2hvcnQ="] } }),
    [
      `${D}.signature.secrets[0]: allowed: whsec_ and 24 to 64 bytes in base64, or whsk_ and 32 or 64 bytes in base64`,
    ],
  ],
])("checkCallbackSecurity() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});

test.each(["", " ", "hunter2\n", "a\r\nX-Evil: 1", "a\0b", "a\u007fb", "tok\u20acn"])(
  "checkCallbackSecurity() refuses the token %j, wherever it comes from",
  async (value) => {
    const fault = `${D}.auth.token.value: ${TOKEN_FAULT}`;
    expect(await faultsOf(auth("token", { value }))).toEqual([fault]);
    expect(await faultsOf(auth("token", { value: { env: "T" } }), { env: { T: value } })).toEqual([fault]);
    const readFile = () => `${value}\n`;
    expect(await faultsOf(auth("token", { value: { file: "/t" } }), { readFile })).toEqual([fault]);
  },
);

test("checkCallbackSecurity() takes a token that is not known", async () => {
  expect(await faultsOf(auth("token", { value: { env: "T" } }), { withoutSecrets: true })).toEqual([]);
});

test.each<[string, Json]>([
  ["token", { value: "abc.def==" }],
  ["basic", { username: "caf\u00e9", password: "a:\u20ac" }],
  ["basic", { username: "key", password: "" }],
])("checkCallbackSecurity() takes the %s %p", async (type, more) => {
  expect(await faultsOf(auth(type, more))).toEqual([]);
});
