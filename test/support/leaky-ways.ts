// Every way in which a call can fail that has secrets: marked ones, so that they are recognised wherever they come out.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EC_KEY, RSA_KEY } from "../config/pem-fixtures.ts";
import { JKS, KEY_PASSWORD, LEGACY_PKCS12, MODERN_PKCS12, STORE_PASSWORD } from "../config/store-fixtures.ts";
import type { Json, Way } from "./callback-lab.ts";
import { LEAKY_FORMS, type LeakyReceivers } from "./leaky-receivers.ts";
import { coreOf, type SecretPurse } from "./leaks.ts";

export interface LeakySetup {
  readonly purse: SecretPurse;
  readonly receivers: LeakyReceivers;
  /** For the files of secrets. */
  readonly directory: string;
}

export interface LeakyWays {
  readonly ways: readonly Way[];
  readonly env: Readonly<Record<string, string>>;
  /** Of `system.proxy`. */
  readonly systemProxy: Json;
}

export async function createLeakyWays(setup: LeakySetup): Promise<LeakyWays> {
  const { purse, receivers, directory } = setup;
  const { deadPort } = receivers;
  keepFixtures(purse);
  const reference = `http://127.0.0.1:${deadPort}/hooks/${purse.markPlain("path of a reference")}/new`;
  const tokenReference = `http://127.0.0.1:${deadPort}/tokens/${purse.markPlain("path of a token reference")}/new`;
  const env = {
    CALLBACK_URL: `${reference}?key=${purse.markPlain("query of a reference")}`,
    TOKEN_URL: `${tokenReference}?key=${purse.markPlain("query of a token reference")}`,
    CLIENT_SECRET: purse.mark("client secret by reference"),
  };
  await writeFile(join(directory, "token.txt"), `${purse.markPlain("token in a file")}\n`);
  const ways = [
    ...fixedWays(setup),
    ...tokenWays(setup),
    ...assertionWays(setup),
    ...tlsWays(setup),
    ...proxyWays(setup),
  ];
  return {
    ways: ways.flatMap(toBothEnds),
    env,
    systemProxy: login(purse, "system proxy", receivers.proxyPort),
  };
}

/** Once with dead letters, once with an interruption, which has a cause and is told to others. */
function toBothEnds({ id, call, through = {} }: Way): readonly Way[] {
  const interrupt = (isOn: boolean) => ({
    interruptConsumptionOnServerError: isOn,
    interruptConsumptionOnException: isOn,
  });
  const logging = {
    enabled: true,
    request: { headers: true, payload: true },
    response: { headers: true, payload: true },
  };
  const common = { http: { readTimeout: 10_000 }, sampling: { type: "ALL" }, logging, ...through };
  return [
    { id: `${id}-kept`, call, through: { ...common, ...interrupt(false) } },
    { id: `${id}-stopped`, call, through: { ...common, ...interrupt(true) } },
  ];
}

function keepFixtures(purse: SecretPurse): void {
  for (const [name, text] of Object.entries({ EC_KEY, RSA_KEY, MODERN_PKCS12, LEGACY_PKCS12, JKS })) {
    purse.keep(name, name.endsWith("KEY") ? (text.split("\n")[2] ?? "").slice(0, 40) : coreOf(text));
  }
  purse.keep("password of a store", STORE_PASSWORD);
  purse.keep("password of a key", KEY_PASSWORD);
}

function fixedWays({ purse, receivers: { callback, deadPort } }: LeakySetup): readonly Way[] {
  const at = (path: string) => `${callback.url.origin}/${path}`;
  const query = new URLSearchParams({ key: purse.mark("query") }).toString();
  const basic = { username: "relay", password: purse.mark("basic password") };
  const token = { value: purse.markPlain("token") };
  const hmac = randomBytes(32).toString("base64");
  const seed = generateKeyPairSync("ed25519")
    .privateKey.export({ type: "pkcs8", format: "der" })
    .subarray(-32);
  purse.keep("whsec", hmac.slice(0, 40));
  purse.keep("whsk", seed.toString("base64").slice(0, 40));
  const header = { name: "X-Api-Key", value: purse.mark("header") };
  const bearer = { name: "Authorization", value: `Bearer ${purse.markPlain("bearer in a header")}` };
  return ["401", "500", "reset"]
    .flatMap((how): Way[] => [
      { id: `basic-${how}`, call: { callbackUrl: at(how), auth: { type: "basic", basic } } },
      { id: `token-${how}`, call: { callbackUrl: at(how), auth: { type: "token", token } } },
      {
        id: `file-${how}`,
        call: { callbackUrl: at(how), auth: { type: "token", token: { value: { file: "token.txt" } } } },
      },
      { id: `header-${how}`, call: { callbackUrl: at(how), headers: [header, bearer] } },
      { id: `query-${how}`, call: { callbackUrl: `${at(how)}/?${query}` } },
      {
        id: `signature-${how}`,
        call: {
          callbackUrl: at(how),
          signature: { secrets: [`whsec_${hmac}`, `whsk_${seed.toString("base64")}`] },
        },
      },
    ])
    .concat([
      { id: "reference", call: { callbackUrl: { env: "CALLBACK_URL" } } },
      { id: "dead-query", call: { callbackUrl: `http://127.0.0.1:${deadPort}/?${query}` } },
      { id: "no-name", call: { callbackUrl: `http://no-such-host.invalid/?${query}` } },
      { id: "denied", call: { callbackUrl: `http://169.254.169.254/?${query}` } },
    ]);
}

function tokenWays({ purse, receivers: { callback, tokens, deadPort } }: LeakySetup): readonly Way[] {
  const query = `?key=${purse.markPlain("query of a token endpoint")}`;
  const clientSecret = purse.mark("client secret");
  const plainSecret = purse.markPlain("client secret that could be an error code");
  const parameters = [{ name: "key", value: purse.mark("parameter of a token request") }];
  const way = (id: string, endpoint: object | string, more: Json = {}): Way => {
    const oauth2 = { endpoint, clientId: "relay", clientSecret, parameters, ...more };
    return { id, call: { callbackUrl: `${callback.url.origin}/401`, auth: { type: "oauth2", oauth2 } } };
  };
  const at = (path: string) => `${tokens.url.origin}/${path}${query}`;
  return [
    ...LEAKY_FORMS.flatMap((form) => [
      way(`body-${form}`, at(form)),
      way(`head-${form}`, at(form), { clientAuthentication: "basic" }),
      way(`env-${form}`, at(form), { clientSecret: { env: "CLIENT_SECRET" } }),
    ]),
    way("whole-form", at("whole")),
    way("error-code", at("code"), { clientSecret: plainSecret }),
    way("granted", at("grant")),
    way("junk", at("junk")),
    way("dead-endpoint", `http://127.0.0.1:${deadPort}/token${query}`),
    way("endpoint-by-reference", { env: "TOKEN_URL" }),
  ];
}

function assertionWays({ purse, receivers: { callback, tokens } }: LeakySetup): readonly Way[] {
  const hmac = `${purse.mark("HMAC secret")} of 32 bytes at least`;
  const raw = randomBytes(48);
  purse.keep("HMAC secret in base64", raw.toString("base64").slice(0, 40));
  const way = (id: string, key: Json): Way => {
    const endpoint = `${tokens.url.origin}/${id}`;
    const claims = { issuer: "partner", subject: "device", audience: "relay-test", endpoint };
    const jwtProfileOauth2 = { ...claims, keySource: "INLINE", ...key };
    return {
      id: `jwt-${id}`,
      call: {
        callbackUrl: `${callback.url.origin}/401`,
        auth: { type: "jwtProfileOauth2", jwtProfileOauth2 },
      },
    };
  };
  return [
    way("plain", { signatureAlgorithm: "RSA_RS256", keyContent: RSA_KEY }),
    way("percent", { signatureAlgorithm: "HMAC_HS256", keyContent: hmac }),
    way("base64", {
      signatureAlgorithm: "HMAC_HS384",
      keyContent: raw.toString("base64"),
      secretBase64Encoded: true,
    }),
    way("json", {
      signatureAlgorithm: "RSA_RS256",
      keySource: "PKCS12",
      keyContent: LEGACY_PKCS12,
      keystoreOptions: { storePassword: STORE_PASSWORD },
    }),
  ];
}

/** The receiver speaks no TLS. */
function tlsWays({ receivers: { callback } }: LeakySetup): readonly Way[] {
  const callbackUrl = callback.url.href.replace("http:", "https:");
  const password = STORE_PASSWORD;
  const entry = { alias: "ec", keyPassword: KEY_PASSWORD };
  return [
    {
      id: "pkcs12",
      call: { callbackUrl, ssl: { keyStore: { type: "PKCS12", content: MODERN_PKCS12, password } } },
    },
    {
      id: "jks",
      call: { callbackUrl, ssl: { keyStore: { type: "JKS", content: JKS, password, ...entry } } },
    },
  ];
}

function proxyWays({ purse, receivers: { callback, proxyPort, deadPort } }: LeakySetup): readonly Way[] {
  const https = callback.url.href.replace("http:", "https:");
  const own = (name: string, type: string, port = proxyPort) => ({
    proxy: { enabled: true, useSystemProxy: false, ...login(purse, name, port), type },
  });
  const system = { proxy: { enabled: true, useSystemProxy: true } };
  const call = { callbackUrl: https };
  return [
    { id: "forwarding-proxy", call: { callbackUrl: callback.url.href }, through: own("forwarding", "HTTP") },
    { id: "tunnel-proxy", call, through: own("tunnel", "HTTP") },
    { id: "socks4-proxy", call, through: own("SOCKS4", "SOCKS4") },
    { id: "socks5-proxy", call, through: own("SOCKS5", "SOCKS5") },
    { id: "dead-proxy", call, through: own("dead proxy", "HTTP", deadPort) },
    { id: "system-proxy", call, through: system },
  ];
}

function login(purse: SecretPurse, name: string, port: number): Json {
  return { host: "127.0.0.1", port, username: "relay", password: purse.mark(`password of ${name}`) };
}
