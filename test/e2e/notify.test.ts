// What the binary tells systemd over its life, where no systemd is needed to hear it.

import { expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { openNotifySocket } from "../support/notify-socket.ts";
import { startRelay } from "../support/relay.ts";

test("it tells ready when connected, each reload, that it gets on, and that it stops", async () => {
  await using nats = await startNatsServer();
  await addStream(await nats.connect());
  const name = `@relay-e2e-${process.pid}`;
  using socket = openNotifySocket(name);
  await using relay = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" }),
    env: { NOTIFY_SOCKET: name, WATCHDOG_USEC: "300000" },
  });
  const told = (field: string) => socket.received().filter((fields) => field in fields);
  await eventually(() => told("READY").length === 1);
  await eventually(() => told("WATCHDOG").length >= 3);
  await eventually(() => told("STATUS").at(-1)?.["STATUS"] === "Ready; 1 running");
  relay.signal("SIGHUP");
  await eventually(() => told("RELOADING").length === 1 && told("READY").length === 2);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  expect(told("STOPPING")).toEqual([{ STOPPING: "1", STATUS: "Draining", EXTEND_TIMEOUT_USEC: "35000000" }]);
  const changes = socket.received().flatMap((fields) => {
    return ["READY", "RELOADING", "STOPPING"].filter((field) => field in fields);
  });
  expect(changes).toEqual(["READY", "RELOADING", "READY", "STOPPING"]);
});

test("a socket that is not there keeps it from nothing", async () => {
  await using relay = await startRelay({
    config: testConfig({ natsUrl: "nats://127.0.0.1:9", callbackUrl: "http://127.0.0.1:9/" }),
    env: { NOTIFY_SOCKET: "vsock:2:1" },
  });
  expect((await relay.logged("Cannot notify systemd")).level).toBe("warn");
  await relay.url();
});
