// Each kind of secret is replaced as the manual says: by a reload, or where that is refused, by a restart. Nothing is lost.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer, type TLSSocket } from "node:tls";
import { Webhook } from "standardwebhooks";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { createCertificates } from "../support/tls.ts";

const HOST = "127.0.0.1";

/** Answers 200, and keeps the name in the certificate that each request came with. */
async function startTlsCallback(): Promise<{ url: string; clients: readonly string[] } & AsyncDisposable> {
  await using directory = await temporaryDirectory();
  const { server: own } = await createCertificates(directory.path);
  const clients: string[] = [];
  const sockets = new Set<TLSSocket>();
  const server = createServer(
    { key: own.key, cert: own.cert, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("data", (chunk) => {
        if (!chunk.toString().startsWith("POST ")) return;
        clients.push(String(socket.getPeerCertificate().subject.CN));
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  return {
    url: `https://${HOST}:${(server.address() as AddressInfo).port}/`,
    clients,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("secrets of callbacks count from the next request on, once the files were replaced and the relay reloaded", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await using directory = await temporaryDirectory();
  await using tls = await startTlsCallback();
  await using tokens = await startReceiver(({ body }) => ({
    status: 200,
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      access_token: `for-${new URLSearchParams(body.toString()).get("client_secret")}`,
      token_type: "bearer",
      expires_in: 600,
    }),
  }));
  await using receiver = await startReceiver();
  const { issue } = await createCertificates(directory.path);
  const key = () => `whsec_${randomBytes(32).toString("base64")}`;
  const keys = { before: key(), after: key() };
  const write = async (values: Readonly<Record<string, string>>) => {
    for (const [name, value] of Object.entries(values)) await writeFile(join(directory.path, name), value);
  };
  const writeAll = async (round: "before" | "after") => {
    const { key: clientKey, cert } = issue(`relay-${round}`, {});
    await write({ token: round, password: round, client: round, header: round, clientKey, cert });
    await write({ signing: keys[round] });
  };
  const file = (name: string) => ({ file: join(directory.path, name) });
  const oauth2 = { endpoint: tokens.url.href, clientId: "relay", clientSecret: file("client") };
  const ways: Readonly<Record<string, object>> = {
    token: { auth: { type: "token", token: { value: file("token") } } },
    basic: { auth: { type: "basic", basic: { username: "relay", password: file("password") } } },
    oauth2: { auth: { type: "oauth2", oauth2 } },
    header: { headers: [{ name: "X-Api-Key", value: file("header") }] },
    signature: { signature: { secrets: [file("signing")] } },
    certificate: {
      callbackUrl: tls.url,
      ssl: {
        trustAll: true,
        keyStore: { type: "PEM", keyPath: file("clientKey").file, certPath: file("cert").file },
      },
    },
  };
  const subscriptions = Object.entries(ways).map(([id, own]) => ({
    id,
    configuration: {
      entrypointId: "webhook",
      deliverPolicy: "all",
      callbackUrl: new URL(`/${id}`, receiver.url).href,
      ...own,
    },
  }));
  await writeAll("before");
  await using relay = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: "", more: { subscriptions } }),
    directory: directory.path,
  });

  /** What the newest message was sent with. */
  async function sent(count: number): Promise<Readonly<Record<string, unknown>>> {
    await jetstream(client).publish("orders.a", String(count));
    const all = (id: string) => receiver.requests.filter(({ path }) => path === `/${id}`);
    const plain = Object.keys(ways).filter((id) => id !== "certificate");
    await eventually(() => plain.every((id) => all(id).length === count) && tls.clients.length === count);
    const headersOf = (id: string) =>
      Object.fromEntries((all(id).at(-1)?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value]));
    const isSignedWith = (own: string) => {
      try {
        new Webhook(own).verify(String(count), headersOf("signature"));
        return true;
      } catch {
        return false;
      }
    };
    return {
      token: headersOf("token")["authorization"],
      basic: headersOf("basic")["authorization"],
      oauth2: headersOf("oauth2")["authorization"],
      header: headersOf("header")["x-api-key"],
      signature: Object.entries(keys).flatMap(([round, own]) => (isSignedWith(own) ? [round] : [])),
      certificate: tls.clients.at(-1),
    };
  }
  const expected = (round: string) => ({
    token: `Bearer ${round}`,
    basic: `Basic ${btoa(`relay:${round}`)}`,
    oauth2: `Bearer for-${round}`,
    header: round,
    signature: [round],
    certificate: `relay-${round}`,
  });

  expect(await sent(1)).toEqual(expected("before"));
  await writeAll("after");
  const config = join(directory.path, "relay.config.json");
  const { exitCode, stdout } = await runRelay(["reload", "--config", config]);
  expect({ exitCode, stdout }).toMatchObject({ exitCode: 0 });
  for (const id of Object.keys(ways))
    expect(stdout).toContain(`Subscription ${id} changed without interruption`);
  expect(await sent(2)).toEqual(expected("after"));
  expect(receiver.requests.length + tls.clients.length).toBe(2 * subscriptions.length);
  expect(relay.logs.filter(({ level }) => level === "error")).toEqual([]);
});

test("the token of the listener and the password of NATS want a restart: a reload names them, and goes on as before", async () => {
  const withPassword = (password: string) =>
    `authorization { users: [{ user: relay, password: ${password} }, { user: test, password: test }] }`;
  await using nats = await startNatsServer({ configText: withPassword("before") });
  const client = await nats.connect({ user: "test", pass: "test" });
  await addStream(client);
  await using directory = await temporaryDirectory();
  await using receiver = await startReceiver();
  const file = (name: string) => ({ file: join(directory.path, name) });
  const write = async (round: string) => {
    await writeFile(file("password").file, round);
    await writeFile(file("token").file, `token-of-the-listener-${round}`);
  };
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    more: {
      nats: {
        servers: [nats.url],
        auth: { type: "user", username: "relay", password: file("password") },
      },
      server: { listen: `${HOST}:0`, auth: { type: "token", value: file("token") } },
    },
  });
  const status = async (url: string, round: string) =>
    (
      await fetch(`${url}/api/status`, {
        headers: { authorization: `Bearer token-of-the-listener-${round}` },
      })
    ).status;
  await write("before");
  {
    await using relay = await startRelay({ config, directory: directory.path });
    await relay.logged("Consuming");
    await write("after");
    const path = join(directory.path, "relay.config.json");
    const { exitCode, stderr } = await runRelay(["reload", "--config", path]);
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
    expect(stderr).toMatch(/Cannot change server\.auth, nats\.auth while the relay runs: restart it/);
    expect(await status(await relay.url(), "before")).toBe(200);
    await jetstream(client).publish("orders.a", "1");
    await eventually(() => receiver.requests.length === 1);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
  }
  await jetstream(client).publish("orders.a", "2");
  await client.close();
  await nats.terminate();
  await nats.restart(withPassword("after"));
  await using relay = await startRelay({ config, directory: directory.path });
  expect(await status(await relay.url(), "after")).toBe(200);
  expect(await status(await relay.url(), "before")).toBe(401);
  await eventually(() => receiver.requests.length === 2);
  expect(receiver.requests.map(({ body }) => body.toString())).toEqual(["1", "2"]);
});

test("state.key is replaced while no relay runs, with the bucket: nothing is refused, and states are kept again", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await using directory = await temporaryDirectory();
  await using receiver = await startReceiver(() => 422);
  const key = join(directory.path, "key");
  const state = join(directory.path, "state");
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    hasDeadLetters: true,
    more: { state: { directory: state, key: { file: key } } },
  });
  const newKey = () => writeFile(key, randomBytes(32).toString("base64"));

  async function runOnce({ foreign }: { foreign: number }): Promise<void> {
    await using relay = await startRelay({ config, directory: directory.path });
    const api = await openApi(await relay.url());
    await jetstream(client).publish("orders.a", "rejected");
    await eventually(async () => {
      const { body } = await api("GET", "/api/dead-letters");
      const ids = (body.items as { id: string }[]).map(({ id }) => id);
      return ids.length === 1 + foreign && ids.filter((id) => id.startsWith("@")).length === foreign;
    });
    expect((await api("GET", "/api/status")).body.unusable).toEqual([]);
    expect((await api("POST", "/api/subscriptions/sub/pause")).status).toBe(200);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
    expect(relay.logs.filter(({ level }) => level === "error")).toEqual([]);
  }
  await newKey();
  await runOnce({ foreign: 0 });
  await newKey();
  await (await jetstreamManager(client)).streams.delete("KV_relay");
  await rm(join(state, "letters.key"));
  await runOnce({ foreign: 1 });
});
