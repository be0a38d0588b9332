// TLS to callbacks, through the binary: stores of every kind by path and by content, and what is not trusted.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EC_CERTIFICATE, EC_KEY, ISSUER, ROOT, RSA_CERTIFICATE, RSA_KEY } from "../config/pem-fixtures.ts";
import {
  JKS,
  KEY_PASSWORD,
  MODERN_PKCS12,
  STORE_PASSWORD,
  TRUST_JKS,
  TRUST_PKCS12,
} from "../config/store-fixtures.ts";
import {
  expectDelivered,
  expectRefused,
  type Json,
  labConfig,
  type LabServer,
  startLab,
  startLabServer,
  type Way,
} from "../support/callback-lab.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type Certificates, createCertificates } from "../support/tls.ts";

const UNKNOWN = "certificate is from an unknown authority";
const FILES = {
  "roots.pem": `${ROOT}${ISSUER}`,
  "roots.p12": Buffer.from(TRUST_PKCS12, "base64"),
  "roots.jks": Buffer.from(TRUST_JKS, "base64"),
  "client-key.pem": EC_KEY,
  "client.pem": `${EC_CERTIFICATE}${ISSUER}`,
  "client.p12": Buffer.from(MODERN_PKCS12, "base64"),
  "client.jks": Buffer.from(JKS, "base64"),
} as const;

const password = STORE_PASSWORD;
/** The server's certificate names no host: the trust stores of the fixtures have its issuers only. */
const hostnameVerifier = false;
const trustStore = { type: "PEM", path: "roots.pem" };

/** Relative paths are relative to the config file. */
const TRUST_STORES: Readonly<Record<string, Json>> = {
  "trust-pem-path": trustStore,
  "trust-pem-content": { type: "PEM", content: FILES["roots.pem"] },
  "trust-pkcs12-path": { type: "PKCS12", path: "roots.p12", password },
  "trust-pkcs12-content": { type: "PKCS12", content: TRUST_PKCS12, password },
  "trust-jks-path": { type: "JKS", path: "roots.jks", password },
  "trust-jks-content": { type: "JKS", content: TRUST_JKS, password: { env: "STORE_PASSWORD" } },
};
const JKS_ENTRY = { alias: "ec", keyPassword: KEY_PASSWORD };
const KEY_STORES: Readonly<Record<string, Json>> = {
  "key-pem-path": { type: "PEM", keyPath: "client-key.pem", certPath: "client.pem" },
  "key-pem-content": { type: "PEM", keyContent: EC_KEY, certContent: FILES["client.pem"] },
  "key-pkcs12-path": { type: "PKCS12", path: "client.p12", password },
  "key-pkcs12-content": { type: "PKCS12", content: MODERN_PKCS12, password },
  "key-jks-path": { type: "JKS", path: "client.jks", password, ...JKS_ENTRY },
  "key-jks-content": { type: "JKS", content: JKS, password, ...JKS_ENTRY },
};

const stack = new AsyncDisposableStack();
let server: LabServer;
let relay: RelayProcess;
let directory: string;
let ours: Certificates;
/** With the fixtures' certificate, which names no host; `strict` demands a client's too. */
let plain: Receiver;
let strict: Receiver;
/** With certificates of `ours`: for this host, and for another one. */
let named: Receiver;
let elsewhere: Receiver;

async function startTls(tls: {
  readonly key: string;
  readonly cert: string;
  readonly ca?: string;
}): Promise<Receiver> {
  return stack.use(await startReceiver(() => 200, { tls }));
}

function toWays(): readonly Way[] {
  const way = (id: string, receiver: Receiver, ssl: Json): Way => ({
    id,
    call: { callbackUrl: new URL(`/${id}`, receiver.url).href, ssl },
  });
  const ownTrust = { type: "PEM", content: ours.ca };
  return [
    ...Object.entries(TRUST_STORES).map(([id, store]) =>
      way(id, plain, { hostnameVerifier, trustStore: store }),
    ),
    ...Object.entries(KEY_STORES).map(([id, keyStore]) =>
      way(id, strict, { hostnameVerifier, trustStore, keyStore }),
    ),
    way("system-only", plain, { hostnameVerifier }),
    way("other-authority", plain, { hostnameVerifier, trustStore: ownTrust }),
    way("same-name", named, { trustStore: ownTrust }),
    way("other-name", elsewhere, { trustStore: ownTrust }),
    way("any-name", elsewhere, { trustStore: ownTrust, hostnameVerifier }),
    way("trust-all", elsewhere, { trustAll: true }),
    way("no-certificate", strict, { hostnameVerifier, trustStore }),
    { id: "no-tls", call: { callbackUrl: `https://127.0.0.1:${server.nats.port}/` } },
  ];
}

beforeAll(async () => {
  server = stack.use(await startLabServer());
  directory = stack.use(await temporaryDirectory()).path;
  ours = await createCertificates(directory);
  await Promise.all(
    Object.entries(FILES).map(([name, content]) => writeFile(join(directory, name), content)),
  );
  const fixture = { key: RSA_KEY, cert: `${RSA_CERTIFICATE}${ISSUER}` };
  plain = await startTls(fixture);
  const demands = { ca: ROOT, requestCert: true, rejectUnauthorized: true };
  strict = await startTls({ ...fixture, ...demands });
  named = await startTls(ours.server);
  elsewhere = await startTls(ours.issue("elsewhere.test", { dns: ["elsewhere.test"] }));
  relay = stack.use(await startLab(server, toWays(), { directory, env: { STORE_PASSWORD } }));
});
afterAll(() => stack.disposeAsync());

function waysSeenBy(receiver: Receiver): readonly string[] {
  return receiver.requests.map(({ path }) => path.slice(1));
}

describe("stores", () => {
  test.each(Object.keys(TRUST_STORES))("%s: the callback is trusted by it", async (id) => {
    await expectDelivered(server, relay, { id });
  });

  test.each(Object.keys(KEY_STORES))("%s: the callback that demands a certificate has it", async (id) => {
    await expectDelivered(server, relay, { id });
    expect(waysSeenBy(strict)).toContain(id);
  });
});

describe("what is verified", () => {
  test.each(["same-name", "any-name", "trust-all"])("%s is delivered", async (id) => {
    await expectDelivered(server, relay, { id });
  });

  test.each([
    ["system-only", () => plain.port, UNKNOWN],
    ["other-authority", () => plain.port, UNKNOWN],
    ["other-name", () => elsewhere.port, "certificate is for another name"],
    ["no-certificate", () => strict.port, "it demands a client certificate"],
    ["no-tls", () => server.nats.port, "it does not speak TLS"],
  ])("%s is an exception that says why", async (id, port, reason) => {
    const error = `Cannot reach 127.0.0.1:${port()} by TLS: ${reason}`;
    await expectRefused(server, relay, { id, cause: "tls", error });
    expect([plain, strict, elsewhere].flatMap(waysSeenBy)).not.toContain(id);
  });
});

test("a certificate that ends within 30 days is warned of at the start, once for all who share it", async () => {
  await relay.logged("Relay runs");
  const day = new X509Certificate(ours.ca).validToDate.toISOString().slice(0, 10);
  const index = toWays().findIndex(({ id }) => id === "other-authority");
  const warnings = relay.logs.filter(({ message }) => message.includes(" ends on "));
  expect(warnings).toMatchObject([
    {
      level: "warn",
      message: `subscriptions[${index}].configuration.ssl.trustStore: the certificate of CN=Relay test CA ends on ${day}`,
    },
  ]);
});

test("what is accepted unseen is warned of at every start, and by check", async () => {
  const loose: readonly Way[] = [
    { id: "loose", call: { callbackUrl: plain.url.href, ssl: { trustAll: true, hostnameVerifier } } },
  ];
  const expected = [
    "subscriptions[0].configuration.ssl.trustAll: it accepts any certificate",
    "subscriptions[0].configuration.ssl.hostnameVerifier: it accepts a certificate that is for another host",
  ];
  await using own = await temporaryDirectory();
  for (let start = 1; start <= 2; start += 1) {
    await using again = await startRelay({
      config: labConfig(server, loose),
      directory: own.path,
    });
    await again.logged("Relay runs");
    const warnings = again.logs.filter(({ level }) => level === "warn").map(({ message }) => message);
    for (const warning of expected) expect(warnings).toContain(warning);
  }
  const { exitCode, stdout } = await runRelay(["check", "--config", join(own.path, "relay.config.json")]);
  expect(exitCode).toBe(0);
  const warnings = stdout.split("\n").filter((line) => line.startsWith("  warning: "));
  for (const warning of expected) expect(warnings).toContainEqual(expect.stringContaining(warning));
});

test("a store that cannot be opened is a fault of the file: 78, all of them at once, with their paths", async () => {
  const wrong = "another-password";
  const way = (id: string, ssl: Json) => ({ id, call: { callbackUrl: plain.url.href, ssl } });
  const jwtProfileOauth2 = {
    issuer: "relay",
    subject: "relay",
    audience: "http://127.0.0.1:9/token",
    signatureAlgorithm: "RSA_RS256",
    keySource: "JKS",
    keyContent: join(directory, "client.jks"),
    keystoreOptions: { storePassword: wrong, alias: "rsa" },
  };
  const ways = [
    way("p12", { trustStore: { type: "PKCS12", path: "roots.p12", password: wrong } }),
    way("jks", { trustStore: { type: "JKS", content: TRUST_JKS, password: wrong } }),
    way("key-p12", { keyStore: { type: "PKCS12", path: "client.p12", password: wrong } }),
    way("key-jks", {
      keyStore: { type: "JKS", path: "client.jks", password, alias: "ec", keyPassword: wrong },
    }),
    way("missing", { trustStore: { type: "PEM", path: "nowhere.pem" } }),
    way("no-pem", { trustStore: { type: "PEM", content: "nothing" } }),
    way("alias", { keyStore: { type: "JKS", path: "client.jks", password, alias: "nobody" } }),
    way("no-pair", { keyStore: { type: "PEM", keyContent: RSA_KEY, certContent: EC_CERTIFICATE } }),
    {
      id: "jwt",
      call: { callbackUrl: plain.url.href, auth: { type: "jwtProfileOauth2", jwtProfileOauth2 } },
    },
  ];
  const path = join(directory, "faulty.json");
  await writeFile(path, JSON.stringify(labConfig(server, ways), null, 2));
  const { exitCode, stderr } = await runRelay(["run", "--config", path]);
  expect(exitCode).toBe(78);
  const at = (index: number) => `subscriptions[${index}].configuration.ssl`;
  for (const fault of [
    `${at(0)}.trustStore.password: it is not the password of the store`,
    `${at(1)}.trustStore.password: it is not the password of the store`,
    `${at(2)}.keyStore.password: it is not the password of the store`,
    `${at(3)}.keyStore.keyPassword: it is not the password of the key`,
    `${at(4)}.trustStore.path: cannot read ${join(directory, "nowhere.pem")}: no such file`,
    `${at(5)}.trustStore.content: `,
    `${at(6)}.keyStore.alias: `,
    `${at(7)}.keyStore.`,
    "auth.jwtProfileOauth2.keystoreOptions.storePassword: it is not the password of the store",
  ]) {
    expect(stderr).toContain(fault);
  }
  expect(stderr.trim().split("\n")).toHaveLength(1 + ways.length);
  expect(stderr).not.toContain(wrong);
});
