// A listener whose certificate is replaced: on the same port, with what is under way, or not at all.

import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { listenTcp } from "#http/listen.ts";
import type { Fetch } from "#http/fetch-adapter.ts";
import { createCertificates } from "../support/tls.ts";

const LOCAL = { host: "127.0.0.1", port: 0 };

async function openCertificates() {
  const path = await mkdtemp(join(tmpdir(), "relay-renewable-"));
  return {
    ...(await createCertificates(path)),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

async function openListener(answer: Fetch) {
  const first = await openCertificates();
  const second = await openCertificates();
  const { server } = first;
  const listener = await listenTcp(LOCAL, answer, { tls: server });
  return {
    listener,
    renewTo: (certFile: string, keyFile: string) =>
      Promise.all([copyFile(certFile, server.certFile), copyFile(keyFile, server.keyFile)]),
    get: (ca: string) =>
      fetch(listener.address, { tls: { ca }, keepalive: false }).then(({ status }) => status),
    first,
    second,
    async [Symbol.asyncDispose]() {
      await listener.close(0);
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

test("renew() shows the certificate that the files hold when it is told to look", async () => {
  await using opened = await openListener(() => new Response());
  const { listener, first, second, get, renewTo } = opened;
  expect(await listener.renew()).toBe(false);
  await renewTo(second.server.certFile, second.server.keyFile);
  expect(await get(first.ca)).toBe(200);
  expect(await listener.renew()).toBe(true);
  expect(await get(second.ca)).toBe(200);
  const refused = await get(first.ca).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Error);
  expect(await listener.renew()).toBe(false);
});

test("renew() keeps what it shows where the files do not serve, and looks again", async () => {
  await using opened = await openListener(() => new Response());
  const { listener, first, second, get, renewTo } = opened;
  await writeFile(first.server.certFile, "a-secret-of-the-test");
  for (let time = 0; time < 2; time += 1) {
    const error = await listener.renew().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "unavailable", message: expect.not.stringContaining("a-secret") });
    expect(await get(first.ca)).toBe(200);
  }
  await renewTo(second.server.certFile, second.server.keyFile);
  expect(await listener.renew()).toBe(true);
  expect(await get(second.ca)).toBe(200);
});

test("renew() ends no request that is under way", async () => {
  let requests = 0;
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<Response>();
  await using opened = await openListener(() => {
    if (++requests > 1) return new Response();
    asked.resolve();
    return answered.promise;
  });
  const { listener, first, second, get, renewTo } = opened;
  const early = get(first.ca);
  await asked.promise;
  await renewTo(second.server.certFile, second.server.keyFile);
  expect(await listener.renew()).toBe(true);
  for (let time = 0; time < 10; time += 1) expect(await get(second.ca)).toBe(200);
  answered.resolve(new Response(null, { status: 204 }));
  expect(await early).toBe(204);
});
