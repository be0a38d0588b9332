// The state directory of a running relay is deleted, and its control socket with it: readiness and the log say so.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startRelay, temporaryDirectory } from "../support/relay.ts";

const GONE = "The control socket is gone: restart the relay";

test("readiness and the log say that the control socket is gone", async () => {
  await using nats = await startNatsServer();
  await addStream(await nats.connect());
  await using directory = await temporaryDirectory();
  const config = testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" });
  await using relay = await startRelay({ config, directory: directory.path });
  await relay.logged("Consuming");
  const readiness = async () => (await fetch(`${await relay.url()}/readyz`)).text();
  await eventually(async () => (await readiness()).includes('"ready":true'));
  const socket = join(directory.path, ".relay", "relay.sock");
  await rm(join(directory.path, ".relay"), { recursive: true });
  await eventually(async () => (await readiness()).includes(GONE), { withinMs: 5000 });
  expect(await relay.logged(GONE)).toMatchObject({ level: "error", paths: [socket] });
});
