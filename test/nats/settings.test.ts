// Every way to sign in and every kind of TLS, against servers that demand it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { nkeys } from "@nats-io/transport-node";

import type { NatsAuth, NatsTls } from "#nats/settings.ts";

import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { connected, openTestConnection } from "../support/nats.ts";
import { type Certificates, createCertificates } from "../support/tls.ts";

let directory: string;
let certificates: Certificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "relay-tls-"));
  certificates = await createCertificates(directory);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

describe("NatsSettings.auth", () => {
  const user = nkeys.createUser();
  const seed = new TextDecoder().decode(user.getSeed());

  test.each<[string, string, NatsAuth, NatsAuth]>([
    [
      "user",
      `authorization { user: relay, password: secret123 }`,
      { kind: "user", username: "relay", password: "secret123" },
      { kind: "user", username: "relay", password: "wrong" },
    ],
    [
      "token",
      `authorization { token: secret123 }`,
      { kind: "token", value: "secret123" },
      { kind: "token", value: "wrong" },
    ],
    [
      "nkey",
      `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`,
      { kind: "nkey", seed: `${seed}\n` },
      { kind: "nkey", seed: new TextDecoder().decode(nkeys.createUser().getSeed()) },
    ],
  ])("NatsSettings.auth signs in by %s, and reports a wrong one", async (_, configText, right, wrong) => {
    await using server = await startNatsServer({ configText });
    await using good = await connected(server.url, { auth: right });
    expect(good.isConnected).toBe(true);
    await using bad = openTestConnection(server.url, { auth: wrong });
    await eventually(() => bad.status().lastError !== null);
    expect(bad.status().lastError).toBe("it does not accept the credentials");
    expect(bad.isConnected).toBe(false);
  });

  test("NatsSettings.auth reads the credentials file again for each connect, with LF or CRLF", async () => {
    const identity = createIdentity();
    await using server = await startNatsServer({ configText: identity.configText, jetstream: false });
    let content = identity.creds({ expiresAt: Math.floor(Date.now() / 1000) + 2 });
    let reads = 0;
    const read = () => {
      reads += 1;
      return content.replaceAll("\n", "\r\n");
    };
    await using connection = await connected(server.url, { auth: { kind: "creds", read } });
    expect(reads).toBe(1);
    await eventually(() => !connection.isConnected);
    await eventually(() => reads > 2);
    content = "nonsense";
    await eventually(() => connection.client() === null);
    content = identity.creds({ expiresAt: null });
    await eventually(() => connection.isConnected, { withinMs: 15_000 });
    expect(JSON.stringify(connection.logger.lines)).not.toContain("eyJ");
  }, 30_000);

  test("NatsSettings.inboxPrefix is the prefix of all inboxes", async () => {
    const permissions = `{ publish: ["$JS.API.>"], subscribe: ["_INBOX_relay.>"] }`;
    const configText = `authorization { users: [ { user: relay, password: secret123, permissions: ${permissions} } ] }`;
    await using server = await startNatsServer({ configText });
    const auth: NatsAuth = { kind: "user", username: "relay", password: "secret123" };
    await using connection = await connected(server.url, { auth, inboxPrefix: "_INBOX_relay" });
    const answer = await connection.client()?.request("$JS.API.INFO", "", { timeout: 1000 });
    expect(answer?.json<{ type: string }>().type).toContain("account_info");
    expect(connection.newInbox()).toStartWith("_INBOX_relay.");
  });
});

describe("NatsSettings.tls", () => {
  const trusting = (): NatsTls => ({
    caFile: certificates.caFile,
    certFile: null,
    keyFile: null,
    handshakeFirst: false,
  });

  test("NatsSettings.tls trusts its CA and no other", async () => {
    await using server = await startNatsServer({ configText: tlsConfig() });
    await using good = await connected(server.url, { tls: trusting() });
    expect(good.isConnected).toBe(true);
    // The server's own certificate is enough.
    const { certFile: caFile } = certificates.server;
    await using own = await connected(server.url, { tls: { ...trusting(), caFile } });
    expect(own.isConnected).toBe(true);
    await using bad = openTestConnection(`tls://127.0.0.1:${server.port}`);
    await eventually(() => bad.status().lastError !== null);
    expect(bad.isConnected).toBe(false);
  });

  test("NatsSettings.tls sends the client certificate", async () => {
    await using server = await startNatsServer({ configText: tlsConfig("verify: true") });
    const { certFile, keyFile } = certificates.client;
    await using good = await connected(server.url, { tls: { ...trusting(), certFile, keyFile } });
    expect(await good.flush(1000)).toBe(true);
    await using bad = openTestConnection(server.url, { tls: trusting() });
    await eventually(() => bad.status().lastError !== null);
    expect(bad.isConnected).toBe(false);
  }, 20_000);

  test("NatsSettings.tls is required by tls:// alone, and never downgraded", async () => {
    await using server = await startNatsServer();
    await using plain = openTestConnection(`tls://127.0.0.1:${server.port}`);
    await eventually(() => plain.status().lastError !== null);
    expect(plain.status().lastError).toBe("it does not speak TLS");
    expect(plain.isConnected).toBe(false);
  });

  test("NatsSettings.tls.handshakeFirst speaks TLS before anything else", async () => {
    await using server = await startNatsServer({ configText: tlsConfig("handshake_first: true") }).catch(() =>
      startNatsServer(),
    );
    const isKnown = (await Bun.file(join(server.directory, "nats.conf")).text()).includes("handshake_first");
    await using connection = openTestConnection(server.url, { tls: { ...trusting(), handshakeFirst: true } });
    if (isKnown) await eventually(() => connection.isConnected);
    else await eventually(() => connection.status().lastError !== null);
    expect(connection.isConnected).toBe(isKnown);
  });

  test("NatsSettings.tls names a missing file in its error", async () => {
    await using server = await startNatsServer({ configText: tlsConfig() });
    const caFile = join(directory, "absent.pem");
    await using connection = openTestConnection(server.url, { tls: { ...trusting(), caFile } });
    await eventually(() => connection.status().lastError !== null);
    expect(connection.status().lastError).toContain("absent.pem");
  });
});

function tlsConfig(more = ""): string {
  const { certFile, keyFile } = certificates.server;
  return `tls { cert_file: "${certFile}", key_file: "${keyFile}", ca_file: "${certificates.caFile}", ${more} }`;
}

/** An operator, an account and a user as `nsc` makes them: signed tokens (NATS JWT 2). */
function createIdentity() {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  const user = nkeys.createUser();
  const unlimited = { subs: -1, data: -1, payload: -1 };
  const accountLimits = { ...unlimited, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };
  const operatorJwt = toJwt(operator, operator, { name: "o", nats: { type: "operator", version: 2 } });
  const accountJwt = toJwt(account, operator, {
    name: "a",
    nats: { type: "account", version: 2, limits: accountLimits },
  });
  const accountKey = account.getPublicKey();
  return {
    configText: [
      `operator: "${operatorJwt}"`,
      "resolver: MEMORY",
      `resolver_preload: { ${accountKey}: "${accountJwt}" }`,
    ].join("\n"),
    creds({ expiresAt }: { expiresAt: number | null }): string {
      const expiry = expiresAt === null ? {} : { exp: expiresAt };
      const jwt = toJwt(user, account, {
        name: "u",
        nats: { type: "user", version: 2, ...unlimited },
        ...expiry,
      });
      const seed = new TextDecoder().decode(user.getSeed());
      return [
        `-----BEGIN NATS USER JWT-----\n${jwt}\n------END NATS USER JWT------\n`,
        `-----BEGIN USER NKEY SEED-----\n${seed}\n------END USER NKEY SEED------`,
      ].join("\n");
    },
  };
}

type KeyPair = ReturnType<typeof nkeys.createUser>;

function toJwt(subject: KeyPair, issuer: KeyPair, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const payload = {
    jti: crypto.randomUUID(),
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    ...claims,
  };
  const signed = `${encode({ typ: "JWT", alg: "ed25519-nkey" })}.${encode(payload)}`;
  return `${signed}.${Buffer.from(issuer.sign(new TextEncoder().encode(signed))).toString("base64url")}`;
}
