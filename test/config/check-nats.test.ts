// Faults of nats: how Relay signs in, and what it trusts.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toCreds, USER_SEED } from "../support/creds.ts";
import { createCertificates } from "../support/tls.ts";
import { faultsOf, FILE, type Json, warningsOf } from "./parse-for-test.ts";

const SEED = "allowed: the seed of a user, 58 characters from SU, with its checksum";
const WORD = "allowed: 1 to 4096 printable characters";

test.each<[string, Json, readonly string[]]>([
  ["a seed", { type: "nkey", seed: `${USER_SEED}\n` }, []],
  [
    "a seed with a typing error",
    { type: "nkey", seed: USER_SEED.replace("SUAO", "SUAP") },
    [`seed: ${SEED}`],
  ],
  ["a public key for a seed", { type: "nkey", seed: `UA${USER_SEED.slice(2)}` }, [`seed: ${SEED}`]],
  ["a user", { type: "user", username: "relay", password: "secret" }, []],
  [
    "a user without words",
    { type: "user", username: "", password: "a\nb" },
    [`username: ${WORD}`, `password: ${WORD}`],
  ],
  ["a token without a word", { type: "token", value: "" }, [`value: ${WORD}`]],
])("checkNats() examines %s", async (_, auth, expected) => {
  const faults = await faultsOf({ ...FILE, nats: { auth } });
  expect(faults).toEqual(expected.map((fault) => `nats.auth.${fault}`));
});

test.each([
  ["a file with JWT and seed", toCreds("relay"), []],
  [
    "a file of another kind",
    "hunter2",
    ["the file has no user JWT, allowed: a .creds file with the JWT and the seed of a user"],
  ],
  [
    "a JWT alone",
    toCreds("relay").split("\n\n", 1).join(),
    ["the file has no nkey seed, allowed: a .creds file with the JWT and the seed of a user"],
  ],
  [
    "a JWT that was cut",
    toCreds("relay").replace(/^ey\S+/mu, "ey"),
    ["the user JWT in the file cannot be read"],
  ],
  [
    "the seed of another kind",
    toCreds("relay", { seed: USER_SEED.replace("SU", "SA") }),
    ["the nkey seed in the file is not that of a user"],
  ],
])("checkNats() examines creds: %s", async (_, content, expected) => {
  const auth = { type: "creds", content: { file: "relay.creds" } };
  const faults = await faultsOf({ ...FILE, nats: { auth } }, { readFile: () => content });
  expect(faults).toEqual(expected.map((fault) => `nats.auth.content: ${fault}`));
});

test("listWarnings() warns of creds that have expired, or expire within the hour", async () => {
  const now = new Date("2026-01-01T00:00:00Z");
  const warnings = (expiresAt: Date) => {
    const auth = { type: "creds", content: { file: "relay.creds" } };
    return warningsOf({ ...FILE, nats: { auth } }, { now, readFile: () => toCreds("relay", { expiresAt }) });
  };
  expect(await warnings(new Date("2026-01-01T02:00:00Z"))).toEqual([]);
  expect(await warnings(new Date("2025-12-31T00:00:00Z"))).toEqual([
    "nats.auth.content: the token expired at 2025-12-31T00:00:00.000Z",
  ]);
});

test("checkNats() checks the CA file, and warns of a client certificate that expires", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-nats-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  const { caFile, client } = await createCertificates(directory);
  await writeFile(join(directory, "garbage.pem"), "hunter2");
  const context = { directory, readFile: (path: string) => readFileSync(path, "utf8"), now: new Date() };
  const withCa = (file: string) => ({ ...FILE, nats: { tls: { caFile: file } } });
  expect(await faultsOf(withCa(caFile), context)).toEqual([]);
  for (const file of ["garbage.pem", client.keyFile]) {
    expect(await faultsOf(withCa(file), context)).toEqual(["nats.tls.caFile: allowed: certificates in PEM"]);
  }
  const tls = { caFile, certFile: client.certFile, keyFile: client.keyFile };
  expect(await warningsOf({ ...FILE, nats: { tls } }, context)).toEqual([
    expect.stringMatching(/^nats\.tls\.certFile: the certificate of .* ends on /u),
  ]);
});
