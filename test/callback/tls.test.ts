// TLS settings against real servers: whom a callback is believed to be, and who the relay is to it.

import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type SecureVersion, type TlsOptions } from "node:tls";

import { createDial, type Dial, type Dialled } from "#callback/connector.ts";
import type { TlsIdentity, TlsSettings } from "#delivery/callback.ts";
import { statusOf } from "#delivery/outcome.ts";
import { eventually } from "../support/eventually.ts";
import { startSocks4aProxy } from "../support/proxies.ts";
import { startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { toRoute } from "../support/subscription.ts";
import { createCertificates, type Certificates, type Issued } from "../support/tls.ts";
import { NEVER, openTestCallback, toMessage } from "./setup.ts";
import { TEST_CERT, TEST_KEY } from "./test-certificate.ts";

const OPTIONS = { mayResend: true, signal: NEVER };
const ours = await makeCertificates();
const elsewhere = ours.issue("elsewhere.test", { dns: ["elsewhere.test"] });
const HERE = { dns: ["localhost"], ipv4: ["127.0.0.1"] };
const below = ours.intermediate();
const issuedBelow = below.issue("localhost", HERE);
/** As a server should send it, with the intermediate. */
const chained = { cert: issuedBelow.cert + below.cert, key: issuedBelow.key };

async function makeCertificates(): Promise<Certificates> {
  await using directory = await makeDirectory();
  return await createCertificates(directory.path);
}

async function makeDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "relay-tls-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function toTls(changes: Partial<TlsSettings> = {}): TlsSettings {
  return { ...toRoute().tls, ...changes };
}

/** What one call comes to: its status, or why there is none. */
async function call(url: URL, tls: TlsSettings): Promise<number | string> {
  await using callback = openTestCallback(url, { route: toRoute({ tls }) });
  const { outcome } = await callback.send(toMessage(), OPTIONS);
  if (outcome.kind !== "exception") return statusOf(outcome);
  expect(outcome.code).toBe("tls");
  return outcome.error.replace(url.host, "it");
}

const UNKNOWN = "Cannot reach it by TLS: certificate is from an unknown authority";
const OTHER_NAME = "Cannot reach it by TLS: certificate is for another name";

describe("what is verified", () => {
  test.each<[string, Issued, Partial<TlsSettings>, number | string]>([
    ["an authority of the system only", ours.server, {}, UNKNOWN],
    ["the given authority", ours.server, { trusted: [ours.ca] }, 200],
    ["one of the given authorities", ours.server, { trusted: [TEST_CERT, ours.ca] }, 200],
    ["not another authority", ours.server, { trusted: [TEST_CERT] }, UNKNOWN],
    ["an intermediate alone, whether the server sends it", chained, { trusted: [below.cert] }, 200],
    ["an intermediate alone, or not", issuedBelow, { trusted: [below.cert] }, 200],
    ["the root above an intermediate", chained, { trusted: [ours.ca] }, 200],
    ["the server's own certificate alone", chained, { trusted: [issuedBelow.cert] }, 200],
    [
      "not another certificate of the same intermediate",
      chained,
      { trusted: [below.issue("other", HERE).cert] },
      UNKNOWN,
    ],
    ["not another name", elsewhere, { trusted: [ours.ca] }, OTHER_NAME],
    [
      "another name where names are not verified",
      elsewhere,
      { trusted: [ours.ca], verifiesHostName: false },
      200,
    ],
    ["not another authority where names are not verified", elsewhere, { verifiesHostName: false }, UNKNOWN],
    ["anything where certificates are not verified", elsewhere, { verifiesCertificate: false }, 200],
  ])("send() trusts %s", async (_what, { cert, key }, changes, expected) => {
    await using receiver = await startReceiver(() => 200, { tls: { cert, key } });
    for (const host of ["127.0.0.1", "localhost"]) {
      const url = new URL(`https://${host}:${receiver.port}/`);
      expect(await call(url, toTls(changes))).toBe(expected);
    }
    expect(receiver.requests.length).toBe(expected === 200 ? 2 : 0);
  });

  test("createDial() trusts what the system trusts, unless it is told whom to trust", async () => {
    await using directory = await makeDirectory();
    const { server, caFile } = await createCertificates(directory.path);
    const otherFile = join(directory.path, "other.pem");
    await writeFile(otherFile, TEST_CERT);
    await using receiver = await startReceiver(() => 200, { tls: server });
    // The runtime's own choice reads `SSL_CERT_FILE` too, but not the directory.
    const nowhere = join(directory.path, "none");
    for (const [systemDirectory, trustedFile, expected] of [
      [directory.path, [], "connected"],
      [nowhere, [], UNKNOWN],
      [directory.path, [otherFile], UNKNOWN],
      [nowhere, [caFile], "connected"],
    ] as const) {
      const dialling = Bun.spawn(
        [process.execPath, `${import.meta.dir}/dial-once.ts`, receiver.url.href, ...trustedFile],
        {
          env: { SSL_CERT_FILE: otherFile, SSL_CERT_DIR: systemDirectory },
          stdin: "ignore",
        },
      );
      const text = await dialling.stdout.text();
      expect(text.trim().replace(receiver.url.host, "it")).toBe(expected);
      await dialling.exited;
    }
  });

  test("createDial() speaks HTTP/1.1 only, and names the host without its last dot", async () => {
    const hellos: string[] = [];
    await using receiver = await startTcpReceiver((socket) => {
      socket.once("data", (hello: Buffer) => hellos.push(hello.toString("latin1")));
    });
    await using proxy = await startSocks4aProxy("");
    const route = toRoute({ proxy: { kind: "fixed", proxy: proxy.proxy } });
    for (const [host, name] of [
      ["localhost", "localhost"],
      ["callback.test.", "callback.test"],
    ]) {
      const giveUp = createDial({ url: new URL(`https://${host}:${receiver.port}/`), route })(() => {});
      const hello = await eventually(() => hellos.pop());
      giveUp();
      // RFC 6066, 3, and RFC 7301, 3.1: each name with its length before it.
      expect(hello).toContain(`\0${String.fromCharCode(name?.length ?? 0)}${name}\0`);
      expect(hello).toContain("\x08http/1.1");
      expect(hello).not.toContain("\x02h2");
    }
  });

  test("createDial() tells settings that cannot be read", async () => {
    await using receiver = await startReceiver(() => 200, { tls: ours.server });
    expect(await call(receiver.url, toTls({ trusted: ["nothing"] }))).toStartWith("Cannot reach it by TLS: ");
    const identity = { key: TEST_KEY, chain: [ours.client.cert] };
    expect(await call(receiver.url, toTls({ trusted: [ours.ca], identity }))).toStartWith(
      "Cannot reach it by TLS: ",
    );
  });
});

describe("the client's certificate", () => {
  const relay = { key: ours.client.key, chain: [ours.client.cert, ours.ca] };

  test.each<[string, SecureVersion, TlsIdentity | null, number | string]>([
    ["that it is known", "TLSv1.2", relay, 200],
    ["that it is known", "TLSv1.3", relay, 200],
    ["that none is given", "TLSv1.2", null, "it refused the handshake; it may demand a client certificate"],
    ["that none is given", "TLSv1.3", null, "it demands a client certificate"],
  ])("send() tells %s to a callback that demands one (%s)", async (_what, version, identity, expected) => {
    const demands = { ca: ours.ca, requestCert: true, rejectUnauthorized: true };
    const tls = { ...ours.server, ...demands, minVersion: version, maxVersion: version };
    await using receiver = await startReceiver(() => 200, { tls });
    const outcome = await call(receiver.url, toTls({ trusted: [ours.ca], identity }));
    expect(outcome).toBe(expected === 200 ? 200 : `Cannot reach it by TLS: ${expected}`);
    expect(receiver.requests.length).toBe(expected === 200 ? 1 : 0);
  });
});

/** Answers each connection with one byte; `resumed` tells whether it resumed a session. */
async function startSessionServer(version: SecureVersion) {
  const resumed: boolean[] = [];
  const { cert, key } = ours.server;
  const server = createServer({ cert, key, minVersion: version, maxVersion: version }, (socket) => {
    resumed.push(socket.isSessionReused());
    socket.on("error", () => {}).end("x");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`https://127.0.0.1:${port}/`),
    resumed,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, "close");
    },
  };
}

/** Connects, and reads to the end: a session of TLS 1.3 comes after the handshake. */
async function readBy(dial: Dial): Promise<void> {
  const dialled = await new Promise<Dialled>((resolve) => dial(resolve));
  if (dialled.kind === "failed") throw new Error(dialled.exception.error);
  dialled.socket.resume();
  await once(dialled.socket, "close");
}

describe("sessions", () => {
  test.each(["TLSv1.2", "TLSv1.3"] as const)(
    "createDial() resumes its sessions, and no others (%s)",
    async (version) => {
      await using server = await startSessionServer(version);
      const settings = { url: server.url, route: toRoute({ tls: toTls({ trusted: [ours.ca] }) }) };
      const dial = createDial(settings);
      for (let index = 0; index < 5; index += 1) await readBy(dial);
      expect(server.resumed).toEqual([false, true, true, true, true]);
      await readBy(createDial(settings));
      expect(server.resumed.at(-1)).toBe(false);
    },
  );

  test("send() connects to a server that no longer knows the session", async () => {
    const tls = { ...ours.server, ticketKeys: randomBytes(48) };
    const route = toRoute({ tls: toTls({ trusted: [ours.ca] }) });
    const first = await startReceiver(() => 200, { tls });
    await using callback = openTestCallback(first.url, { route });
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    await first[Symbol.asyncDispose]();
    await using second = await startReceiver(() => 200, {
      tls: { ...tls, ticketKeys: randomBytes(48) },
      port: first.port,
    });
    expect((await callback.send(toMessage(), OPTIONS)).outcome.kind).toBe("delivered");
    expect(second.requests).toHaveLength(1);
  });
});

/** A fatal alert, not encrypted. */
function toAlert(description: number): Buffer {
  return Buffer.of(21, 3, 3, 0, 2, 2, description);
}

/** A ServerHello of TLS 1.`minor - 1` that chooses `cipher`. */
function toServerHello(minor: number, cipher: number): Buffer {
  const hello = Buffer.concat([
    Buffer.of(3, minor),
    Buffer.alloc(32, 7),
    Buffer.of(0, cipher >> 8, cipher & 0xff, 0),
  ]);
  return Buffer.concat([Buffer.of(22, 3, minor, 0, hello.length + 4, 2, 0, 0, hello.length), hello]);
}

const NOTHING_IN_COMMON = "it shares no cipher, key exchange or signature algorithm with Relay";
const OLD = "it speaks neither TLS 1.2 nor 1.3";

describe("why there is no TLS", () => {
  test.each<[string, string | Buffer, string]>([
    ["HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak TLS"],
    ["SSH", "SSH-2.0-OpenSSH_9.2\r\n", "it does not speak TLS"],
    ["nothing", "", "connection closed in the TLS handshake"],
    ["TLS 1.0", toServerHello(1, 0x2f), OLD],
    ["TLS 1.1", toServerHello(2, 0x2f), OLD],
    ["the alert protocol_version", toAlert(70), OLD],
    ["a cipher that was not offered", toServerHello(3, 0x9e), "the handshake failed: wrong cipher returned"],
    ["the alert handshake_failure", toAlert(40), NOTHING_IN_COMMON],
    ["the alert insufficient_security", toAlert(71), NOTHING_IN_COMMON],
    ["the alert no_application_protocol", toAlert(120), "it does not speak HTTP/1.1"],
    ["the alert unrecognized_name", toAlert(112), "it does not know this host name"],
    ["the alert internal_error", toAlert(80), "it had an internal error in the handshake"],
    ["the alert decode_error", toAlert(50), "it broke off the handshake: decode error"],
    ["the alert certificate_required", toAlert(116), "it demands a client certificate"],
    ["the alert bad_certificate", toAlert(42), "it does not accept the client certificate, or demands one"],
    ["the alert unknown_ca", toAlert(48), "it does not accept the client certificate: unknown authority"],
  ])("createDial() tells a server that answers with %s", async (_what, answer, reason) => {
    await using server = await startTcpReceiver((socket) => socket.once("data", () => socket.end(answer)));
    const url = new URL(`https://127.0.0.1:${server.port}/`);
    expect(await call(url, toTls())).toBe(`Cannot reach it by TLS: ${reason}`);
  });

  const expired = ours.issue("localhost", HERE, { untilMs: Date.now() - 60_000 });
  test.each<[string, TlsOptions, string]>([
    ["has a certificate that has expired", expired, "certificate has expired"],
    ["has a self-signed certificate", { key: TEST_KEY, cert: TEST_CERT }, "certificate is self-signed"],
    ["speaks TLS 1.1 only", { ...ours.server, minVersion: "TLSv1", maxVersion: "TLSv1.1" }, OLD],
    ["has no key exchange in common", { ...ours.server, ecdhCurve: "P-521" }, NOTHING_IN_COMMON],
  ])("createDial() tells a server that %s", async (_what, tls, reason) => {
    await using receiver = await startReceiver(() => 200, { tls });
    expect(await call(receiver.url, toTls({ trusted: [ours.ca] }))).toBe(`Cannot reach it by TLS: ${reason}`);
  });
});

test("createDial() fails as a value where nothing can be read of the key", async () => {
  await using receiver = await startReceiver(() => 200, { tls: ours.server });
  const identity = { key: "no key", chain: [ours.client.cert] };
  const { promise, resolve } = Promise.withResolvers<string>();
  createDial({ url: receiver.url, route: toRoute({ tls: toTls({ identity }) }) })(({ kind }) =>
    resolve(kind),
  );
  expect(await promise).toBe("failed");
});
