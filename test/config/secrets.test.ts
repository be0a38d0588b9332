// Where references to secrets lead.

import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "#config/load.ts";
import { resolveSecrets } from "#config/secrets.ts";
import { messageOf } from "#lib/errors.ts";
import { EMPTY_CONTEXT, faultsOf, FILE, withDelivery } from "./parse-for-test.ts";

const D = "subscriptions[0].configuration";

test.each<[string, unknown, readonly string[]]>([
  [
    "an unset environment variable",
    withDelivery({ headers: [{ name: "X", value: { env: "NOT_THERE" } }] }),
    [`${D}.headers[0].value: the environment variable NOT_THERE is not set`],
  ],
  [
    "an environment variable named as what every object has",
    withDelivery({ headers: [{ name: "X", value: { env: "constructor" } }] }),
    [`${D}.headers[0].value: the environment variable constructor is not set`],
  ],
  [
    "a secret file that is not there",
    withDelivery({ callbackUrl: { file: "url.txt" } }),
    [`${D}.callbackUrl: cannot read /home/relay/url.txt: no such file`],
  ],
  [
    "a credential outside of a service",
    withDelivery({ callbackUrl: { credential: "url" } }),
    [`${D}.callbackUrl: the credential "url" is not there: CREDENTIALS_DIRECTORY is not set`],
  ],
  [
    "an empty name",
    withDelivery({ callbackUrl: { env: "" } }),
    [
      `${D}.callbackUrl.env: allowed: { "env": "NAME" }, { "file": "/path" } or { "credential": "name" }, with a name that ` +
        "is not empty",
    ],
  ],
])("resolveSecrets() reports %s", async (_, file, expected) => {
  expect(await faultsOf(file)).toEqual([...expected]);
});

test("resolveSecrets() refuses a credential that is a path", async () => {
  const env = { CREDENTIALS_DIRECTORY: "/run/credentials/relay.service" };
  const faults = await faultsOf(withDelivery({ callbackUrl: { credential: "../../etc/passwd" } }), { env });
  expect(faults).toEqual([`${D}.callbackUrl: allowed: the name of a credential, not a path`]);
});

test("resolveSecrets() reads environment, files and credentials, less one line break at the end", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-secrets-"));
  await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
  await writeFile(join(directory, "value"), "from file\n\n");
  await writeFile(join(directory, "credential"), "from credential\r\n");
  const headers = [
    { name: "A", value: { env: "VALUE" } },
    { name: "B", value: { file: "credential" } },
    { name: "C", value: { credential: "credential" } },
    { name: "D", value: "inline" },
  ];
  const path = join(directory, "relay.config.json");
  await writeFile(path, JSON.stringify(withDelivery({ headers })));
  const env = { VALUE: "from environment", CREDENTIALS_DIRECTORY: directory };
  const config = await loadConfig(path, { env });
  expect(config.subscriptions[0]?.callback.headers).toEqual([
    ["A", "from environment"],
    ["B", "from credential"],
    ["C", "from credential"],
    ["D", "inline"],
  ]);
  // Of two line breaks at the end one stays, and a header takes none.
  await writeFile(path, JSON.stringify(withDelivery({ headers: [{ name: "A", value: { file: "value" } }] })));
  const refusal = await loadConfig(path, { env }).catch(messageOf);
  expect(refusal).toContain("headers[0].value: allowed: Latin-1 characters");
});

test("resolveSecrets() reads nothing without secrets", async () => {
  const context = { ...EMPTY_CONTEXT, withoutSecrets: true };
  const file = withDelivery({ callbackUrl: { env: "URL" }, headers: [{ name: "X", value: { file: "/x" } }] });
  expect(await faultsOf(file, context)).toEqual([]);
  expect(resolveSecrets(file, context).faults).toEqual([]);
});

test("resolveSecrets() does not mistake metadata for secrets", async () => {
  const [subscription] = [{ id: "a", metadata: { kind: "secret", env: "HOME" }, configuration: {} }];
  const configuration = { entrypointId: "webhook", callbackUrl: "http://h/" };
  expect(await faultsOf({ ...FILE, subscriptions: [{ ...subscription, configuration }] })).toEqual([]);
});
