// A config from disk: whole, or refused with the whole report.

import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UnsecuredJWT } from "jose";
import { loadConfig } from "#config/load.ts";
import { messageOf } from "#lib/errors.ts";
import { FILE, withDelivery } from "./parse-for-test.ts";
import { ROOT } from "./pem-fixtures.ts";
import { STORE_PASSWORD, TRUST_PKCS12 } from "./store-fixtures.ts";

async function directory() {
  const path = await mkdtemp(join(tmpdir(), "relay-load-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test("loadConfig() refuses a file that is not there", async () => {
  expect(
    await loadConfig("/nowhere/relay.config.json", { env: {} }).catch((error: unknown) => error),
  ).toMatchObject({
    code: "config-invalid",
    message:
      "Cannot read /nowhere/relay.config.json: no such file; relay init writes a first config, --config FILE names another file",
  });
});

test("loadConfig() refuses a file with faults, with the report as message", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(path, JSON.stringify({ ...FILE, log: {} }));
  expect(await loadConfig(path, { env: {} }).catch((error: unknown) => error)).toMatchObject({
    code: "config-invalid",
    message: expect.stringContaining('log: unknown key; did you mean "logs"?'),
  });
});

test("loadConfig() refuses a secret file that is no UTF-8 instead of changing it", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  const secret = join(home.path, "secret");
  await writeFile(path, JSON.stringify(withDelivery({ callbackUrl: { file: "secret" } })));
  await writeFile(secret, Buffer.from("caf\xe9", "latin1"));
  const refusal = await loadConfig(path, { env: {} }).catch(messageOf);
  expect(refusal).toContain(`configuration.callbackUrl: cannot read ${secret}: it is no text in UTF-8`);
});

test.each([
  [
    "Latin-1",
    Buffer.from('{\n  "a": "\xe4x"}', "latin1"),
    "2:9 found the byte 0xE4 (ä in Latin-1), allowed: UTF-8; save it as UTF-8, for example with: iconv -f ISO-8859-1 -t UTF-8",
  ],
  [
    "Windows-1252 at its end",
    Buffer.from([0x7b, 0x93]),
    "1:2 found the byte 0x93, allowed: UTF-8; save it as UTF-8, for example with: iconv -f ISO-8859-1 -t UTF-8",
  ],
  [
    "UTF-16",
    Buffer.from('\uFEFF{"a": 1}', "utf16le"),
    "1:1 found UTF-16LE, allowed: UTF-8; save it as UTF-8, for example with: iconv -f UTF-16LE -t UTF-8",
  ],
])("loadConfig() says where a config in %s is no UTF-8", async (_, bytes, expected) => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(path, bytes);
  const refusal = await loadConfig(path, { env: {} }).catch(messageOf);
  expect(refusal).toBe(`${path} is not valid, 1 fault:\n  ${path}:${expected}`);
});

test("loadConfig() suggests the config file inside a directory that was given instead", async () => {
  await using home = await directory();
  const refusal = await loadConfig(home.path, { env: {} }).catch(messageOf);
  expect(refusal).toBe(
    `Cannot read ${home.path}: it is a directory; name the file in it: --config ${home.path}/relay.config.json`,
  );
});

test("loadConfig() refuses a config that is a FIFO, and does not wait for a writer", async () => {
  await using home = await directory();
  const fifo = join(home.path, "relay.config.json");
  await Bun.$`mkfifo ${fifo}`.quiet();
  const refusal = await loadConfig(fifo, { env: {} }).catch(messageOf);
  expect(refusal).toBe(`Cannot read ${fifo}: it is not a regular file`);
});

test("loadConfig() refuses a secret file that is a FIFO, and does not wait for a writer", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  const fifo = join(home.path, "secret");
  await Bun.$`mkfifo ${fifo}`.quiet();
  await writeFile(path, JSON.stringify(withDelivery({ callbackUrl: { file: "secret" } })));
  const refusal = await loadConfig(path, { env: {} }).catch(messageOf);
  expect(refusal).toContain(`cannot read ${fifo}: it is not a regular file`);
});

test("loadConfig() reads a PKCS12 store as bytes, and warns by the present time", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(join(home.path, "trust.p12"), Buffer.from(TRUST_PKCS12, "base64"));
  const trustStore = { type: "PKCS12", path: "trust.p12", password: STORE_PASSWORD };
  const auth = { type: "token", token: { value: new UnsecuredJWT({}).setExpirationTime(1).encode() } };
  await writeFile(path, JSON.stringify(withDelivery({ ssl: { trustStore }, auth })));
  const config = await loadConfig(path, { env: {} });
  expect(config.subscriptions[0]?.callback.route.tls.trusted).toHaveLength(2);
  expect(config.warnings).toHaveLength(1);
});

test("loadConfig() takes paths relative to the file", async () => {
  await using home = await directory();
  const path = join(home.path, "relay.config.json");
  await writeFile(join(home.path, "ca.pem"), ROOT);
  await writeFile(path, JSON.stringify({ ...FILE, nats: { tls: { caFile: "ca.pem" } } }));
  const config = await loadConfig(path, { env: {} });
  expect(config.nats.tls?.caFile).toBe(join(home.path, "ca.pem"));
  expect(config.state.directory).toBe(join(home.path, ".relay"));
});

test("loadConfig() takes the sample config", async () => {
  const path = new URL("../../relay.config.json", import.meta.url).pathname;
  const config = await loadConfig(path, { env: {} });
  expect(config.subscriptions.map(({ id }) => id)).toEqual(["billing", "warehouse"]);
  expect(config.subscriptions[0]).toMatchObject({
    resume: { kind: "auto" },
    retry: { kind: "exponential" },
    deadLetters: [{ name: "dead-letters", create: { replicas: 1 } }],
  });
  expect(config.warnings).toEqual([]);
});
