// Signatures as receivers verify them, through the binary: by the library of the specification, and by node itself.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import {
  expectDelivered,
  labConfig,
  type LabServer,
  startLab,
  startLabServer,
} from "../support/callback-lab.ts";
import { eventually } from "../support/eventually.ts";
import { headerOf, type ReceivedRequest, type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, runRelay, temporaryDirectory } from "../support/relay.ts";

const hmacKey = () => `whsec_${randomBytes(32).toString("base64")}`;
const OLD = hmacKey();
const NEW = hmacKey();
const FOREIGN = hmacKey();
const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const SEED = privateKey.export({ type: "pkcs8", format: "der" }).subarray(-32);
const PUBLIC = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
const ED25519 = `whsk_${SEED.toString("base64")}`;
/** With its public half, as the libraries of the specification write it. */
const ED25519_LONG = `whsk_${Buffer.concat([SEED, PUBLIC]).toString("base64")}`;

const stack = new AsyncDisposableStack();
let server: LabServer;
let receiver: Receiver;
let relay: RelayProcess;

beforeAll(async () => {
  server = stack.use(await startLabServer());
  let answered = 0;
  receiver = stack.use(
    await startReceiver(({ path }) => {
      if (path !== "/retried") return 200;
      answered += 1;
      return answered === 1 ? 503 : 200;
    }),
  );
  const way = (id: string, secrets: readonly string[], more: object = {}) => ({
    id,
    call: { callbackUrl: new URL(`/${id}`, receiver.url).href, signature: { secrets }, ...more },
  });
  const retry = { retryOption: "Retry On Fail", initialDelaySeconds: 1, maxDelaySeconds: 1 };
  relay = stack.use(
    await startLab(server, [
      way("hmac", [NEW]),
      way("seed", [ED25519]),
      way("long", [ED25519_LONG]),
      way("rotation", [NEW, OLD]),
      way("mixed", [ED25519, OLD]),
      way("retried", [NEW], { retry }),
    ]),
  );
});
afterAll(() => stack.disposeAsync());

async function requestOf(id: string, index = 0): Promise<ReceivedRequest> {
  const requests = () => receiver.requests.filter(({ path }) => path === `/${id}`);
  return eventually(() => requests()[index], { what: `request ${index} of ${id}` });
}

function fieldsOf(request: ReceivedRequest): Record<string, string> {
  const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
  return Object.fromEntries(names.map((name) => [name, headerOf(request, name) ?? ""]));
}

function isVerifiedBy(secret: string, request: ReceivedRequest): boolean {
  try {
    new Webhook(secret).verify(request.body.toString(), fieldsOf(request));
    return true;
  } catch {
    return false;
  }
}

/** Without Relay's code: the key and the signature as the specification words them. */
function isVerifiedByNode(request: ReceivedRequest): boolean {
  const fields = fieldsOf(request);
  const head = `${fields["webhook-id"]}.${fields["webhook-timestamp"]}.`;
  const signature = fields["webhook-signature"]?.split(" ").find((part) => part.startsWith("v1a,"));
  const key = createPublicKey({
    key: { kty: "OKP", crv: "Ed25519", x: PUBLIC.toString("base64url") },
    format: "jwk",
  });
  const content = Buffer.concat([Buffer.from(head), request.body]);
  return verify(null, content, key, Buffer.from(signature?.slice(4) ?? "", "base64"));
}

test("a whsec_ key signs what the library of the specification verifies, with that key only", async () => {
  const request = await requestOf("hmac");
  expect(isVerifiedBy(NEW, request)).toBe(true);
  expect(isVerifiedBy(FOREIGN, request)).toBe(false);
  await expectDelivered(server, relay, { id: "hmac" });
});

test.each(["seed", "long"])("a whsk_ key given as %s signs what node verifies as ed25519", async (id) => {
  const request = await requestOf(id);
  expect(isVerifiedByNode(request)).toBe(true);
  expect(isVerifiedByNode({ ...request, body: Buffer.from("{}") })).toBe(false);
  expect(headerOf(request, "webhook-signature")).toMatch(/^v1a,[\w+/]{86}==$/);
});

test("two keys give two signatures: receivers with the old and with the new one verify it", async () => {
  const request = await requestOf("rotation");
  expect([NEW, OLD, FOREIGN].map((key) => isVerifiedBy(key, request))).toEqual([true, true, false]);
  expect(headerOf(request, "webhook-signature")?.split(" ")).toHaveLength(2);
});

test("keys of both kinds stand side by side", async () => {
  const request = await requestOf("mixed");
  expect(isVerifiedByNode(request)).toBe(true);
  expect(isVerifiedBy(OLD, request)).toBe(true);
});

test("a retry has the same id, and a signature over its own time", async () => {
  const [first, second] = [await requestOf("retried"), await requestOf("retried", 1)];
  expect(headerOf(second, "webhook-id")).toBe(headerOf(first, "webhook-id") ?? "none");
  expect(headerOf(second, "webhook-timestamp")).not.toBe(headerOf(first, "webhook-timestamp"));
  expect([first, second].map((request) => isVerifiedBy(NEW, request))).toEqual([true, true]);
});

test("a key of the wrong length is a fault of the file, told without the key", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  const key = `whsec_${randomBytes(8).toString("base64")}`;
  const call = { callbackUrl: "http://127.0.0.1:9/", signature: { secrets: [key] } };
  await writeFile(path, JSON.stringify(labConfig(server, [{ id: "short", call }])));
  const { exitCode, stderr } = await runRelay(["run", "--config", path]);
  expect(exitCode).toBe(78);
  expect(stderr).toContain(
    "subscriptions[0].configuration.signature.secrets[0]: allowed: whsec_ and 24 to 64",
  );
  expect(stderr).not.toContain(key.slice(6));
});
