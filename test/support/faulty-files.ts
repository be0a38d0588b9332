// Config files with a secret where none belongs, or a wrong one: the reports of their faults must not repeat it.

import { EC_CERTIFICATE, RSA_KEY } from "../config/pem-fixtures.ts";
import { TRUST_JKS } from "../config/store-fixtures.ts";
import type { Json } from "./callback-lab.ts";
import { coreOf, type SecretPurse } from "./leaks.ts";

/** `sound`: a config with one subscription. Each text is a file with a fault. */
export function toFaultyFiles(sound: Json, purse: SecretPurse): Readonly<Record<string, string>> {
  const { mark, markPlain } = purse;
  purse.keep("TRUST_JKS", coreOf(TRUST_JKS));
  const call = (more: Json, top: Json = {}) => {
    const [subscription] = sound["subscriptions"] as readonly { configuration: Json }[];
    const configuration = { ...subscription?.configuration, ...more };
    return JSON.stringify({ ...sound, ...top, subscriptions: [{ ...subscription, configuration }] }, null, 2);
  };
  const top = (more: Json) => call({}, more);
  const auth = (value: unknown) => call({ auth: value });
  const basic = (more: Json) => auth({ type: "basic", basic: { username: "relay", ...more } });
  const jwt = (more: Json) =>
    auth({
      type: "jwtProfileOauth2",
      jwtProfileOauth2: { issuer: "a", subject: "b", audience: "http://127.0.0.1:9/", ...more },
    });
  const whole = basic({ password: mark("of a broken file") });
  return {
    cutOff: whole.slice(0, whole.indexOf('"password"') + 34),
    lineBreak: whole.replace(/"password": "/, '"password": "\n'),
    duplicate: whole.replace(
      '"password":',
      `"password": ${JSON.stringify(mark("given twice"))}, "password":`,
    ),
    unknownKey: basic({ pasword: mark("of a misspelt key") }),
    noObject: auth({ type: "token", token: markPlain("in the place of an object") }),
    noAuth: auth(markPlain("in the place of auth")),
    inAList: basic({ password: [mark("in a list")] }),
    inANumber: basic({ password: { value: mark("in an object") } }),
    twoReferences: basic({
      password: { env: "NOT_SET", file: `/nowhere/${markPlain("file")}x`, is: mark("is") },
    }),
    userInUrl: call({ callbackUrl: `http://relay:${markPlain("user information")}@127.0.0.1:9/` }),
    noUrl: call({ callbackUrl: `ftp://127.0.0.1/${markPlain("path of no URL")}` }),
    tokenUserInUrl: auth({
      type: "oauth2",
      oauth2: {
        endpoint: `http://relay:${markPlain("user of a token endpoint")}@127.0.0.1:9/`,
        clientId: "relay",
        clientSecret: mark("client secret of a faulty file"),
      },
    }),
    header: call({ headers: [{ name: "X-Key", value: `${markPlain("header with a break")}\r\nX-More: 1` }] }),
    headerName: call({ headers: [{ name: "X Key", value: mark("header of no name") }] }),
    natsUrl: top({ nats: { servers: [`nats://relay:${markPlain("of nats.servers")}@127.0.0.1:4222`] } }),
    natsAuth: top({ nats: { auth: { type: "user", username: "relay", pass: markPlain("of nats.auth") } } }),
    serverToken: top({
      server: { auth: { type: "token", value: `two words ${markPlain("of server.auth")}` } },
    }),
    stateKey: top({ state: { key: `${markPlain("state.key")}=` } }),
    shortKey: call({ signature: { secrets: [`whsec_${markPlain("short key")}`] } }),
    hmacKey: jwt({
      signatureAlgorithm: "HMAC_HS512",
      keySource: "INLINE",
      keyContent: markPlain("short HMAC"),
    }),
    rsaKey: jwt({
      signatureAlgorithm: "RSA_RS256",
      keySource: "INLINE",
      keyContent: `-----BEGIN PRIVATE KEY-----\n${markPlain("no RSA key")}\n-----END PRIVATE KEY-----`,
    }),
    keyPath: jwt({ signatureAlgorithm: "RSA_RS256", keySource: "PKCS12", keyContent: markPlain("no path") }),
    storePassword: call({
      ssl: { trustStore: { type: "JKS", content: TRUST_JKS, password: mark("wrong store password") } },
    }),
    store: call({
      ssl: { trustStore: { type: "PKCS12", content: markPlain("no store"), password: mark("of none") } },
    }),
    pair: call({ ssl: { keyStore: { type: "PEM", keyContent: RSA_KEY, certContent: EC_CERTIFICATE } } }),
    proxy: top({
      system: { proxy: { host: "proxy", port: 0, username: "relay", password: mark("system.proxy") } },
    }),
    proxyHost: top({ system: { proxy: { host: `http://relay:${markPlain("proxy host")}@proxy`, port: 1 } } }),
  };
}
