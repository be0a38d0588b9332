// `relay check --connect` by the binary: it foresees what `relay run` then does, and does none of it.

import { expect, test } from "bun:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";

const CALLBACK = "http://127.0.0.1:9/";

test.each(["NONE", "AUTO", "AT_MOST_ONCE", "AT_LEAST_ONCE"] as const)(
  "under %s it changes nothing, and once the relay has run everything is kept",
  async (qos) => {
    await using server = await startNatsServer();
    await using directory = await temporaryDirectory();
    const client = await server.connect();
    await addStream(client);
    const manager = await jetstreamManager(client);
    const path = join(directory.path, "relay.config.json");
    const config = testConfig({ natsUrl: server.url, callbackUrl: CALLBACK, qos, hasDeadLetters: true });
    await writeFile(path, JSON.stringify(config));

    const before = await runRelay(["check", "--connect", "--config", path]);
    expect(before).toMatchObject({ exitCode: 0, stderr: "" });
    expect(before.stdout).toContain("Consumer relay-sub of ORDERS will be created");
    expect(before.stdout).toContain("Dead-letter stream DLQ does not exist: it will be created");
    expect(await manager.streams.names().next()).toEqual(["ORDERS"]);
    expect(await manager.consumers.list("ORDERS").next()).toEqual([]);

    await using relay = await startRelay({ config, directory: directory.path });
    await relay.logged("Consuming");
    await eventually(() => manager.streams.info("DLQ"));
    const after = await runRelay(["check", "--connect", "--json", "--config", path]);
    expect(after.exitCode).toBe(0);
    const { findings } = JSON.parse(after.stdout) as {
      findings: readonly Record<string, unknown>[];
    };
    expect(findings).toContainEqual(
      expect.objectContaining({
        level: "note",
        about: "subscription sub",
        message: "Consumer relay-sub of ORDERS is kept, 0 messages to come",
      }),
    );
    expect(findings).toContainEqual(
      expect.objectContaining({
        level: "note",
        about: "endpoint letters",
        message: "Dead-letter stream DLQ takes dlq.>, and holds 0 messages",
      }),
    );
  },
);

test("it ends with 1 where NATS is not there, with 78 for a bad file", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "relay.config.json");
  const config = testConfig({ natsUrl: "nats://127.0.0.1:1", callbackUrl: CALLBACK });
  await writeFile(path, JSON.stringify(config));
  const absent = await runRelay(["check", "--connect", "-c", path]);
  expect(absent.stderr).toBe("  error: nats: Cannot reach nats://127.0.0.1:1: connection refused\n");
  expect(absent.exitCode).toBe(1);
  await writeFile(path, "{}");
  expect((await runRelay(["check", "--connect", "-c", path])).exitCode).toBe(78);
});
