// Two hosts on one nats-server: one asks the other, by the command line, by --hosts, and by way of its own API.

import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";

test("relay fleet, --host and --hosts ask relays over NATS, and publish puts their records there", async () => {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client);
  const configOf = (name: string) =>
    testConfig({
      natsUrl: nats.url,
      callbackUrl: "http://127.0.0.1:9/",
      more: {
        host: { name: { env: "HOST_NAME" } },
        fleet: { enabled: true },
        state: { bucket: name },
        deliveryLog: { publish: {} },
      },
    });
  for (const name of ["edge-1", "edge-2"]) {
    stack.use(await startRelay({ config: configOf(name), env: { HOST_NAME: name } }));
  }
  const directory = stack.use(await temporaryDirectory()).path;
  const config = join(directory, "relay.config.json");
  // Outside of the service nobody has its credentials, and none is needed to ask other hosts.
  const key = { name: "X-Key", value: { credential: "relay_key" } };
  const mine = { ...configOf("nobody"), state: { key: { credential: "relay_state" } } };
  const subscriptions = [
    {
      id: "sub",
      configuration: {
        entrypointId: "webhook",
        callbackUrl: { credential: "relay_url" },
        entrypointConfiguration: { headers: [key] },
      },
    },
  ];
  await writeFile(config, JSON.stringify({ ...mine, subscriptions }));
  const run = (...words: string[]) =>
    runRelay([...words, "--config", config], { env: { HOST_NAME: "laptop" } });
  const fleet = await eventually(async () => {
    const { exitCode, stdout } = await run("fleet", "--json");
    return exitCode === 0 && ["edge-1", "edge-2"].every((host) => stdout.includes(host)) ? stdout : undefined;
  });
  const { items } = JSON.parse(fleet) as { items: { host: string }[] };
  expect(items.map(({ host }) => host)).toEqual(["edge-1", "edge-2"]);
  expect(JSON.parse((await run("--host", "edge-2", "status", "--json")).stdout)).toMatchObject({
    host: "edge-2",
  });
  const records: { host: string; subscription: string }[] = [];
  client.subscribe("relay.deliveries.*.sub", {
    callback: (_error, msg) => void records.push(msg.json<{ data: (typeof records)[number] }>().data),
  });
  await client.flush();
  client.publish("orders.created", "{}");
  await eventually(() => records.length > 0);
  expect(records[0]).toMatchObject({ host: expect.stringMatching(/^edge-[12]$/u), subscription: "sub" });
  const words = ["--hosts", "edge-*", "subscriptions", "pause", "sub"];
  expect(await run(...words)).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining("edge-1, edge-2"),
  });
  const dry = await run(...words, "--dry-run");
  expect(dry).toMatchObject({ exitCode: 0, stderr: "" });
  expect(dry.stdout.match(/Would pause 1 subscription/gu)).toHaveLength(2);
  const seek = ["subscriptions", "seek", "sub", "--to", "all", "--dry-run"];
  expect(await run("--hosts", "edge-*", ...seek)).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await run(...words, "--yes")).toMatchObject({ exitCode: 0 });
  const paused = await run("--host", "edge-1", "subscriptions", "show", "sub", "--json");
  expect(JSON.parse(paused.stdout)).toMatchObject({ state: "paused" });
  expect(await run("--host", "edge-3", "status")).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("edge-3"),
  });
});
