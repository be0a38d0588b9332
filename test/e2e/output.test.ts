// Whoever reads the log may stall or leave: it costs log lines, not messages.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { BINARY, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

const MESSAGES = 3000;

test.each(["stalls", "leaves"])("a log reader that %s does not hold up deliveries", async (how) => {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver());
  const directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  await addStream(client);
  const js = jetstream(client);
  await Promise.all(
    Array.from({ length: MESSAGES }, (_, n) => js.publish("orders.a", JSON.stringify({ name: String(n) }))),
  );
  const path = join(directory, "relay.config.json");
  const more = { server: { listen: null }, logs: { level: "debug" } };
  const config = testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub`, more });
  await writeFile(path, JSON.stringify(config));
  const child = Bun.spawn([BINARY, "run", "--config", path], {
    cwd: directory,
    stdout: "pipe",
    stderr: "ignore",
  });
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  const reader = child.stdout.getReader();
  await reader.read();
  if (how === "leaves") await reader.cancel();
  await eventually(() => new Set(receiver.names("/sub")).size === MESSAGES);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(0);
});
