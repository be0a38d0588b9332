// Faults of nats, server, state and callbacks.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificates } from "../support/tls.ts";
import { faultsOf, FILE, type Json } from "./parse-for-test.ts";

test.each<[string, unknown, readonly string[]]>([
  [
    "a listener for everybody without authentication",
    { ...FILE, server: { listen: "0.0.0.0:8080" } },
    [
      "server.auth.type: type none is allowed on a loopback address only, and server.listen is 0.0.0.0:8080; " +
        "allowed here: token, basic, jwt",
    ],
  ],
  [
    "a certificate without its key",
    { ...FILE, nats: { tls: { certFile: "cert.pem" } } },
    [
      "nats.tls.keyFile: missing, because certFile is there",
      "nats.tls.certFile: cannot read /home/relay/cert.pem: no such file",
    ],
  ],
  [
    "a range that is none",
    { ...FILE, callbacks: { deny: ["10.0.0.0/33"] } },
    ["callbacks.deny[0]: allowed: an IP address or a range such as 10.0.0.0/8"],
  ],
  [
    "a key for the bucket that is too short",
    { ...FILE, state: { key: "c2hvcnQ=" } },
    ["state.key: allowed: 32 bytes in base64"],
  ],
  [
    "a token that no header can carry",
    { ...FILE, server: { auth: { type: "token", value: "two words" } } },
    ["server.auth.value: allowed: 1 to 4096 printable ASCII characters without spaces"],
  ],
  [
    "a user name that basic authentication cannot carry, and no password",
    { ...FILE, server: { auth: { type: "basic", username: "a:b", password: "" } } },
    [
      "server.auth.username: allowed: 1 to 256 characters without a colon",
      "server.auth.password: allowed: 1 to 4096 printable characters",
    ],
  ],
  [
    "keys for tokens that are nowhere",
    { ...FILE, server: { auth: { type: "jwt", issuer: "i", audience: "a" } } },
    ["server.auth.jwksUri: missing, this or keyFile"],
  ],
  [
    "keys for tokens in two places",
    {
      ...FILE,
      server: {
        auth: { type: "jwt", issuer: "i", audience: "a", jwksUri: "http://[", keyFile: "keys.json" },
      },
    },
    [
      "server.auth.jwksUri: allowed: an http:// or https:// URL",
      "server.auth.keyFile: excluded by jwksUri: give one of them",
      "server.auth.keyFile: cannot read /home/relay/keys.json: no such file",
    ],
  ],
  [
    "a token without its issuer",
    { ...FILE, server: { auth: { type: "jwt", jwksUri: "https://a/", audience: "a" } } },
    ["server.auth.issuer: missing, allowed: 1 to 2048 printable characters"],
  ],
])("checkHost() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});

const AUTHENTICATED = { type: "token", value: "a-token" };

test.each(["0.0.0.0:8080", "[::]:8080", "relay.example.com:443"])(
  "checkHost() takes %s with a token",
  async (listen) => {
    expect(await faultsOf({ ...FILE, server: { listen, auth: AUTHENTICATED } })).toEqual([]);
  },
);

const LONG = "d".repeat(100);

test.each<[string, Json, Readonly<Record<string, string>>, string]>([
  ["that is written", { server: { controlSocket: `run/${LONG}` } }, {}, `/home/relay/run/${LONG}`],
  ["below the state directory", { state: { directory: LONG } }, {}, `/home/relay/${LONG}/relay.sock`],
  ["below the runtime directory", {}, { RUNTIME_DIRECTORY: `/${LONG}:/run` }, `/${LONG}/relay.sock`],
])(
  "checkHost() reports a control socket %s with more bytes than a socket's path",
  async (_, more, env, path) => {
    const fault = `server.controlSocket: ${path} has more than the 107 bytes that a socket's path may have`;
    expect(await faultsOf({ ...FILE, ...more }, { env })).toEqual([fault]);
    expect(await faultsOf({ ...FILE, ...more }, { env, withoutSecrets: true })).toEqual([]);
  },
);

test("checkHost() accepts a control socket path of 107 bytes, however long the default would be", async () => {
  const env = { RUNTIME_DIRECTORY: `/${LONG}` };
  const controlSocket = `/${"s".repeat(106)}`;
  expect(await faultsOf({ ...FILE, server: { controlSocket } }, { env })).toEqual([]);
  expect(await faultsOf({ ...FILE, server: { controlSocket: `${controlSocket}s` } }, { env })).toHaveLength(
    1,
  );
});

test.each(["server", "nats"])(
  "checkHost() reports files of %s.tls that do not fit together",
  async (side) => {
    const directory = await mkdtemp(join(tmpdir(), "relay-check-"));
    await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
    await createCertificates(directory);
    await writeFile(join(directory, "garbage.pem"), "a-secret-of-the-test");
    await writeFile(join(directory, "empty.pem"), "");
    const faults = async (tls: Json) =>
      await faultsOf(
        { ...FILE, [side]: { tls } },
        { directory, readFile: (path) => readFileSync(path, "utf8") },
      );
    expect(await faults({ certFile: "server.pem", keyFile: "server-key.pem" })).toEqual([]);
    expect(await faults({ certFile: "server.pem", keyFile: "client-key.pem" })).toEqual([
      `${side}.tls.keyFile: this is not the key of the certificate in certFile`,
    ]);
    for (const name of ["garbage.pem", "empty.pem"]) {
      expect(await faults({ certFile: name, keyFile: name })).toEqual([
        `${side}.tls.certFile: allowed: a chain of certificates in PEM`,
        `${side}.tls.keyFile: allowed: a private key in PEM, not encrypted`,
      ]);
    }
    expect(await faults({ certFile: "server.pem", keyFile: "missing.pem" })).toEqual([
      `${side}.tls.keyFile: cannot read ${directory}/missing.pem: no such file`,
    ]);
  },
);
