// The server in delivery's words.

import { expect, test } from "bun:test";
import * as v from "valibot";
import { resolveServer } from "#config/resolve-server.ts";
import { configSchema } from "#schema/file.ts";
import { type ConfigContext, resolveSecrets } from "#config/secrets.ts";
import { EMPTY_CONTEXT, FILE, type Json } from "./parse-for-test.ts";

const SECRET_KEY = { kty: "oct", k: Buffer.alloc(32, 1).toString("base64url") };

function resolved(server: Json, changes: Partial<ConfigContext> = {}) {
  const context = { ...EMPTY_CONTEXT, ...changes };
  const file = v.parse(configSchema, { ...FILE, server });
  return resolveServer(file, { context, secrets: resolveSecrets(file, context), stateDirectory: "/state" });
}

test("resolveServer() fills in every default", () => {
  expect(resolved({})).toEqual({
    listen: { host: "127.0.0.1", port: 8080, isLoopback: true },
    tls: null,
    auth: { kind: "none" },
    controlSocket: "/state/relay.sock",
  });
});

test.each<[string, unknown]>([
  ["[::1]:0", { host: "::1", port: 0, isLoopback: true }],
  ["localhost:80", { host: "localhost", port: 80, isLoopback: true }],
  ["[::]:8443", { host: "::", port: 8443, isLoopback: false }],
])("resolveServer() splits %s", (listen, expected) => {
  expect(resolved({ listen }).listen).toEqual(expected as null);
});

test("resolveServer() resolves paths relative to the file, and the socket to systemd's directory", () => {
  const tls = { certFile: "tls/cert.pem", keyFile: "/etc/key.pem" };
  const server = resolved({ listen: null, tls }, { env: { RUNTIME_DIRECTORY: "/run/relay:/run/other" } });
  expect(server).toMatchObject({
    listen: null,
    tls: { certFile: "/home/relay/tls/cert.pem", keyFile: "/etc/key.pem" },
    controlSocket: "/run/relay/relay.sock",
  });
  expect(resolved({ controlSocket: "own.sock" }).controlSocket).toBe("/home/relay/own.sock");
});

test("resolveServer() follows references to credentials", () => {
  const env = { WORD: "a-password" };
  const auth = { type: "basic", username: "operator", password: { env: "WORD" } };
  expect(resolved({ auth }, { env }).auth).toEqual({
    kind: "basic",
    username: "operator",
    password: "a-password",
  });
  expect(resolved({ auth: { type: "token", value: "a-token" } }).auth).toEqual({
    kind: "token",
    value: "a-token",
  });
});

test("resolveServer() reads keys for tokens", () => {
  const jwt = { type: "jwt", issuer: "i", audience: "a" };
  const readFile = () => JSON.stringify(SECRET_KEY);
  const server = resolved({ auth: { ...jwt, keyFile: "key.json" } }, { readFile });
  expect(server.auth).toEqual({
    kind: "jwt",
    issuer: "i",
    audience: "a",
    keys: { kind: "file", path: "/home/relay/key.json", keys: [SECRET_KEY] },
  });
  const remote = resolved({ auth: { ...jwt, jwksUri: "https://keys.example.com/set?key=a-secret" } });
  expect(remote.auth).toMatchObject({ keys: { kind: "jwks" } });
});
