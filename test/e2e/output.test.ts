// Whoever reads the log may stall or leave: it costs log lines, not messages.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { closeSync, constants, openSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { makePipe, readSome } from "../support/pipe.ts";
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

test.each(["schema", "--help", "reference man", "version"])(
  "what %s prints onto a full disk is a fault that is told",
  async (command) => {
    const child = Bun.spawn([BINARY, ...command.split(" ")], {
      stdout: Bun.file("/dev/full"),
      stderr: "pipe",
    });
    expect(await child.stderr.text()).toBe("Cannot write to stdout: no space is left\n");
    expect(await child.exited).toBe(1);
  },
);

test("what is printed into a pipe that does not wait for its reader is whole all the same", async () => {
  await using directory = await temporaryDirectory();
  const path = makePipe(directory.path);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const nonBlocking = "fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK) and exec @ARGV";
  const child = Bun.spawn(["perl", "-MFcntl", "-e", nonBlocking, BINARY, "schema"], {
    stdout: Bun.file(path),
    stderr: "pipe",
  });
  let text = "";
  await eventually(() => {
    text += readSome(fd);
    return child.exitCode !== null;
  });
  for (let rest = readSome(fd); rest !== ""; rest = readSome(fd)) text += rest;
  closeSync(fd);
  expect([await child.stderr.text(), child.exitCode]).toEqual(["", 0]);
  expect(text.length).toBeGreaterThan(100_000);
  expect(JSON.parse(text)).toHaveProperty("$schema");
});
