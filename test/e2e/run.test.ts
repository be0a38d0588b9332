// The life of `relay run`: start, readiness, drain, and what it refuses.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { freePort, type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

interface Ready {
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly idle: readonly string[];
}

async function readyz(relay: RelayProcess): Promise<{ status: number; body: Ready }> {
  const response = await fetch(`${await relay.url()}/readyz`);
  return { status: response.status, body: (await response.json()) as Ready };
}

async function whenReady(relay: RelayProcess): Promise<void> {
  await eventually(async () => (await readyz(relay)).status === 200, { what: "ready" });
}

describe("with a nats-server", () => {
  let stack: AsyncDisposableStack;
  let nats: NatsServer;

  beforeAll(async () => {
    stack = new AsyncDisposableStack();
    nats = stack.use(await startNatsServer());
    await addStream(await nats.connect());
  });
  afterAll(() => stack.disposeAsync());

  test("it says that it lives and is ready, and exposes metrics", async () => {
    await using relay = await startRelay({
      config: testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" }),
    });
    const url = await relay.url();
    expect(await (await fetch(`${url}/livez`)).text()).toBe("alive\n");
    await whenReady(relay);
    const metrics = await fetch(`${url}/metrics`);
    expect(metrics.headers.get("content-type")).toStartWith("text/plain");
    const text = await metrics.text();
    expect(text).toContain('relay_subscription_state{subscription="sub",state="running"} 1');
    expect(text).toContain("relay_nats_connected 1");
    expect(text).toMatch(/relay_build_info\{version="\d+\.\d+\.\d+",commit="[\w-]+",host="[\w.-]+"\} 1/);
    const missing = await fetch(`${url}/nothing`);
    expect(missing.status).toBe(404);
    expect(missing.headers.get("content-type")).toBe("application/problem+json");
  });

  test("SIGTERM: the request in flight ends, what waits goes back at once, exit 0", async () => {
    await using receiver = await startScriptedReceiver({ delayMs: 500 });
    const client = await nats.connect();
    await addStream(client, { name: "DRAIN", subjects: ["drain"] });
    const js = jetstream(client);
    for (const name of ["first", "second", "third"]) await js.publish("drain", JSON.stringify({ name }));
    await using relay = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: `${receiver.url}/sub`,
        consumer: { stream: "DRAIN", ackWaitSeconds: 120 },
        entrypoint: { http: { maxConcurrentConnections: 1 } },
      }),
    });
    await eventually(() => receiver.inFlight === 1);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
    expect(receiver.names("/sub")).toEqual(["first"]);
    expect(relay.logs.at(-1)?.message).toBe("Relay stopped");
    const manager = await jetstreamManager(client);
    const { ack_floor } = await manager.consumers.info("DRAIN", "relay-sub");
    expect(ack_floor.stream_seq).toBe(1);
    // Given back, not left to the ack wait: the next relay has them at once, in order.
    await using next = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: `${receiver.url}/sub`,
        consumer: { stream: "DRAIN", ackWaitSeconds: 120 },
        entrypoint: { http: { maxConcurrentConnections: 1 } },
      }),
    });
    await next.url();
    await eventually(() => receiver.names("/sub").length === 3);
    expect(receiver.names("/sub")).toEqual(["first", "second", "third"]);
  });

  test("the grace period ends: what still hangs is given back, said in the log, exit 0", async () => {
    await using receiver = await startScriptedReceiver();
    const client = await nats.connect();
    await addStream(client, { name: "HANG", subjects: ["hang"] });
    await jetstream(client).publish("hang", JSON.stringify({ name: "stuck", answers: ["hang"] }));
    await using relay = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: `${receiver.url}/sub`,
        consumer: { stream: "HANG" },
        more: { shutdown: { graceSeconds: 1 } },
      }),
    });
    await eventually(() => receiver.inFlight === 1);
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
    expect(relay.logs.find(({ message }) => message === "Given back to the stream")).toMatchObject({
      messages: 1,
    });
  });

  test("a second relay with the same state is refused, with a reason", async () => {
    await using directory = await temporaryDirectory();
    const config = testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" });
    await using first = await startRelay({ config, directory: directory.path });
    await first.url();
    await using second = await startRelay({ config, directory: directory.path });
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toContain("another relay is running");
  });

  test("a taken port is an error that names it", async () => {
    await using first = await startRelay({
      config: testConfig({ natsUrl: nats.url, callbackUrl: "http://127.0.0.1:9/" }),
    });
    const listen = new URL(await first.url()).host;
    await using second = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: "http://127.0.0.1:9/",
        more: { server: { listen } },
      }),
    });
    expect(await second.exited).toBe(1);
    expect(second.stderr()).toContain(`Cannot listen on ${listen}`);
  });

  test("a lost NATS turns readiness red with a reason, its return turns it green", async () => {
    await using own = await startNatsServer();
    await addStream(await own.connect());
    await using relay = await startRelay({
      config: testConfig({ natsUrl: own.url, callbackUrl: "http://127.0.0.1:9/" }),
    });
    await whenReady(relay);
    await own.kill();
    const red = await eventually(
      async () => {
        const answer = await readyz(relay);
        return answer.status === 503 && answer;
      },
      { withinMs: 5000, what: "red" },
    );
    expect(red.body.reasons).toContain("NATS is not connected");
    await own.restart();
    await whenReady(relay);
  });

  test("a missing stream is waited for: red, named, and green once it is there", async () => {
    await using relay = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: "http://127.0.0.1:9/",
        consumer: { stream: "LATER" },
      }),
    });
    await relay.logged("Subscription waits");
    const { status, body } = await readyz(relay);
    expect(status).toBe(503);
    expect(body.reasons.join()).toContain("LATER");
    await addStream(await nats.connect(), { name: "LATER", subjects: ["later"] });
    await whenReady(relay);
  });

  test("a dead-letter stream that is gone turns readiness red", async () => {
    await using relay = await startRelay({
      config: testConfig({
        natsUrl: nats.url,
        callbackUrl: "http://127.0.0.1:9/",
        hasDeadLetters: true,
        more: {
          endpoints: [
            { name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } },
            { name: "letters", type: "jetstream", producer: { stream: "NO_SUCH", subject: "no-such" } },
          ],
        },
      }),
    });
    const red = await eventually(async () => {
      const answer = await readyz(relay);
      return answer.status === 503 && answer.body.reasons.join().includes("NO_SUCH") && answer;
    });
    expect(red.body.reasons.join()).not.toContain("://");
  });
});

test("an absent NATS is waited for, visibly: it lives, it is not ready, it says so once", async () => {
  const port = await freePort();
  await using relay = await startRelay({
    config: testConfig({ natsUrl: `nats://127.0.0.1:${port}`, callbackUrl: "http://127.0.0.1:9/" }),
  });
  const url = await relay.url();
  expect((await fetch(`${url}/livez`)).status).toBe(200);
  const { status, body } = await readyz(relay);
  expect(status).toBe(503);
  expect(body.reasons).toContain("NATS is not connected");
  await relay.logged("Waiting for NATS");
  await using nats = await startNatsServer({ port });
  await addStream(await nats.connect());
  await whenReady(relay);
  expect(relay.logs.filter(({ message }) => message === "Waiting for NATS")).toHaveLength(1);
});

test("SIGHUP does not end it, a second SIGTERM does at once", async () => {
  await using receiver = await startScriptedReceiver();
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await jetstream(client).publish("orders.a", JSON.stringify({ name: "stuck", answers: ["hang"] }));
  await using relay = await startRelay({
    config: testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub` }),
  });
  await eventually(() => receiver.inFlight === 1);
  relay.signal("SIGHUP");
  await relay.logged("Config reloaded");
  relay.signal("SIGTERM");
  await relay.logged("Relay drains");
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(1);
});

test("a config fault exits with 78, says where, and starts nothing", async () => {
  await using directory = await temporaryDirectory();
  await using relay = await startRelay({
    directory: directory.path,
    config: { endpoints: [], entrypoints: [{ type: "webhook", qoss: "AUTO" }] },
  });
  expect(await relay.exited).toBe(78);
  expect(relay.stderr()).toContain("entrypoints[0]");
  expect(relay.stderr()).toContain('"qos"');
  expect(relay.logs).toEqual([]);
  expect(await Bun.file(join(directory.path, ".relay")).exists()).toBe(false);
});
