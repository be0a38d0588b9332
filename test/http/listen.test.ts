// Listeners: what they tell of the caller, TLS, and clients that send something else.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { listenSocket, listenTcp } from "#http/listen.ts";
import type { Fetch } from "#http/fetch-adapter.ts";
import { messageOf, type RelayError } from "#lib/errors.ts";
import { sleep } from "#lib/sleep.ts";
import { createCertificates } from "../support/tls.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };
const echo: Fetch = (_request, { caller }) => Response.json(caller);

async function openDirectory() {
  const path = await mkdtemp(join(tmpdir(), "relay-listen-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

/** What came back until the other end closed. */
async function talkTo(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = "";
  socket.on("data", (chunk) => (received += chunk.toString()));
  socket.on("error", () => {});
  socket.once("close", () => resolve(received));
  socket.write(text);
  return await promise.finally(() => socket.destroy());
}

test("listenTcp() tells of the caller, and listenSocket() that it is the socket", async () => {
  await using directory = await openDirectory();
  const tcp = await listenTcp(LOCAL, echo);
  const path = join(directory.path, "relay.sock");
  const unix = await listenSocket(path, echo);
  expect(await (await fetch(tcp.address)).json()).toEqual({
    kind: "network",
    address: "127.0.0.1",
    port: Number(new URL(tcp.address).port),
    isSecure: false,
  });
  expect(await (await fetch("http://127.0.0.1/", { unix: path })).json()).toEqual({ kind: "socket" });
  await Promise.all([tcp.close(0), unix.close(0)]);
});

test("listenSocket() leaves an answer its time, for a callback or a drain may be waited for", async () => {
  await using directory = await openDirectory();
  const path = join(directory.path, "relay.sock");
  const listener = await listenSocket(path, async ({ signal }) => {
    await sleep(13_000, signal); // Bun ends what is silent for 10 s, within 3 s more.
    return new Response("late");
  });
  const answer = await fetch("http://127.0.0.1/", { unix: path }).then(
    (response) => response.text(),
    messageOf,
  );
  await listener.close(0);
  expect(answer).toBe("late");
}, 20_000);

test("listenTcp() speaks TLS, and nothing else then", async () => {
  await using directory = await openDirectory();
  const { ca, server } = await createCertificates(directory.path);
  const listener = await listenTcp(LOCAL, echo, { tls: server });
  const { protocol, port } = new URL(listener.address);
  expect(protocol).toBe("https:");
  const get = async () => (await fetch(`https://localhost:${port}/`, { tls: { ca } })).json();
  expect(await get()).toMatchObject({ kind: "network", isSecure: true });
  expect(await talkTo(Number(port), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")).toBe("");
  const silent = connect(Number(port), "127.0.0.1");
  expect(await get()).toMatchObject({ isSecure: true });
  silent.destroy();
  await listener.close(0);
});

test("listenTcp() says why a certificate does not serve, and shows nothing of it", async () => {
  await using directory = await openDirectory();
  const { server, client } = await createCertificates(directory.path);
  const garbage = join(directory.path, "garbage.pem");
  await writeFile(garbage, "a-secret-of-the-test");
  const pairs = [
    { certFile: server.certFile, keyFile: client.keyFile },
    { certFile: server.certFile, keyFile: garbage },
    { certFile: join(directory.path, "missing.pem"), keyFile: server.keyFile },
  ];
  for (const tls of pairs) {
    const error = await listenTcp(LOCAL, echo, { tls }).catch((reason: unknown) => reason as RelayError);
    expect(error).toMatchObject({ code: "unavailable" });
    expect((error as RelayError).message).toStartWith("Cannot listen on 127.0.0.1:0: ");
    expect((error as RelayError).message).not.toContain("a-secret");
  }
});

test("listenTcp() shows nothing of a fault that nobody caught", async () => {
  const listener = await listenTcp(LOCAL, () => Promise.reject(new Error("a-secret-of-the-test")));
  const response = await fetch(listener.address);
  expect([response.status, await response.text()]).toEqual([500, ""]);
  await listener.close(0);
});

test("listenTcp() can be opened again where it was closed, with a request under way", async () => {
  const asked = Promise.withResolvers<void>();
  const listener = await listenTcp(LOCAL, async () => {
    asked.resolve();
    return await new Promise<Response>(() => {});
  });
  const port = Number(new URL(listener.address).port);
  const answer = fetch(listener.address).catch(() => "ended");
  await asked.promise;
  await listener.close(50);
  expect(await answer).toBe("ended");
  const again = await listenTcp({ host: "127.0.0.1", port }, echo);
  expect((await fetch(again.address)).status).toBe(200);
  await again.close(0);
});
