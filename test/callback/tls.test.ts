// TLS settings against real servers: whom a callback is believed to be, and who the relay is to it.

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SecureVersion } from "node:tls";

import { createDial } from "#callback/connector.ts";
import type { TlsIdentity, TlsSettings } from "#delivery/callback.ts";
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
  if (outcome.kind !== "exception") return outcome.status;
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

test("createDial() fails as a value where nothing can be read of the key", async () => {
  await using receiver = await startReceiver(() => 200, { tls: ours.server });
  const identity = { key: "no key", chain: [ours.client.cert] };
  const { promise, resolve } = Promise.withResolvers<string>();
  createDial({ url: receiver.url, route: toRoute({ tls: toTls({ identity }) }) })(({ kind }) =>
    resolve(kind),
  );
  expect(await promise).toBe("failed");
});
