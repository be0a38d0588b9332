// At most once, through the binary: what fails before the request stays in the stream, what was sent is never sent again.

import { jetstream, jetstreamManager, type ConsumerInfo } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { cp, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type ConfigOptions, RETRY_ON_FAIL, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer, freePort } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { startScriptedReceiver } from "../support/scripted-receiver.ts";

const PATIENT = { ...RETRY_ON_FAIL, maxAttempts: 1000, maxDelaySeconds: 1 };
const GOES_ON = { interruptConsumptionOnServerError: false, interruptConsumptionOnException: false };

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  /** Kept from one relay to the next. */
  readonly directory: string;
  publish: (...scripts: readonly object[]) => Promise<void>;
  consumer: () => Promise<ConsumerInfo>;
  start: (
    callbackUrl: string,
    wishes?: { retry?: ConfigOptions["subscription"]; entrypoint?: ConfigOptions["entrypoint"] },
  ) => Promise<RelayProcess>;
}

async function setUp(): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const directory = stack.use(await temporaryDirectory()).path;
  const client = await nats.connect();
  await addStream(client);
  const manager = await jetstreamManager(client);
  const js = jetstream(client);
  const owned = stack.move();
  return {
    nats,
    directory,
    async publish(...scripts) {
      for (const script of scripts) await js.publish("orders.x", JSON.stringify(script));
    },
    consumer: () => manager.consumers.info("ORDERS", "relay-sub"),
    start: (callbackUrl, { retry = { retryOption: "No Retry" }, entrypoint = {} } = {}) =>
      startRelay({
        directory,
        config: testConfig({
          natsUrl: nats.url,
          callbackUrl,
          qos: "AT_MOST_ONCE",
          entrypoint,
          subscription: { retry },
        }),
      }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Acknowledged, that is: the last request may still be on its way. */
async function isThrough({ consumer }: Setup): Promise<boolean> {
  const { num_ack_pending, num_pending } = await consumer();
  return num_ack_pending === 0 && num_pending === 0;
}

async function hasEnded(relay: RelayProcess, ending: string, count: number): Promise<boolean> {
  return (await readMetric(relay, "relay_messages_total", { subscription: "sub", ending })) === count;
}

test("a callback that is down costs no message: it is not acknowledged, tried again, and delivered once it is up", async () => {
  await using setup = await setUp();
  const port = await freePort();
  await setup.publish({ name: "first" }, { name: "second" });
  await using relay = await setup.start(`http://127.0.0.1:${port}/`, { retry: PATIENT, entrypoint: GOES_ON });
  const refused = { subscription: "sub", cause: "connect" };
  await eventually(async () => (await readMetric(relay, "relay_exceptions_total", refused)) >= 2);
  const down = await setup.consumer();
  expect(down.ack_floor.stream_seq).toBe(0);
  expect(down.num_ack_pending).toBe(1);
  expect(await isInState(relay, "sub", "running")).toBe(true);
  await using receiver = await startReceiver(() => 200, { port });
  await eventually(() => hasEnded(relay, "delivered", 2));
  const bodies = receiver.requests.map(({ body }) => (JSON.parse(body.toString()) as { name: string }).name);
  expect(bodies).toEqual(["first", "second"]);
  expect(await readMetric(relay, "relay_attempts_total", { subscription: "sub", outcome: "delivered" })).toBe(
    2,
  );
  expect(await readMetric(relay, "relay_messages_total", { subscription: "sub" })).toBe(2);
});

test("without a retry a callback that is down interrupts, and the message is in the stream for the next start", async () => {
  await using setup = await setUp();
  const port = await freePort();
  await setup.publish({ name: "first" });
  await using relay = await setup.start(`http://127.0.0.1:${port}/`);
  const interruption = await relay.logged("Subscription interrupted");
  expect(interruption["cause"]).toEndWith(`Cannot reach 127.0.0.1:${port}: connection refused`);
  expect((await setup.consumer()).ack_floor.stream_seq).toBe(0);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  await using receiver = await startReceiver(() => 200, { port });
  await using again = await setup.start(receiver.url.href);
  await eventually(() => hasEnded(again, "delivered", 1));
  expect(receiver.requests).toHaveLength(1);
});

test("what was sent is not sent again, whatever the policy of retries: not after a 500, a reset, a silence, a restart", async () => {
  await using setup = await setUp();
  await using receiver = await startScriptedReceiver();
  const names = ["ok", "error", "fine", "reset", "hang", "busy", "last"];
  await setup.publish(
    { name: "ok" },
    { name: "error", answers: [500] },
    // On a connection that is up again, so that the next one breaks a connection used before.
    { name: "fine" },
    { name: "reset", answers: ["reset"] },
    { name: "hang", answers: ["hang"] },
    { name: "busy", answers: [429] },
    { name: "last" },
  );
  const entrypoint = { ...GOES_ON, http: { readTimeout: 3000 } };
  await using relay = await setup.start(`${receiver.url}/sub`, { retry: PATIENT, entrypoint });
  await relay.logged("Message dropped");
  await relay.logged("Subscription interrupted");
  expect(receiver.names("/sub")).toEqual(names.slice(0, 6));
  expect(await readMetric(relay, "relay_messages_total", { ending: "dropped" })).toBe(3);
  expect(await readMetric(relay, "relay_resends_total")).toBe(0);
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  await using again = await setup.start(`${receiver.url}/sub`, { retry: PATIENT, entrypoint });
  await eventually(() => hasEnded(again, "delivered", 1));
  expect(await isThrough(setup)).toBe(true);
  expect(receiver.names("/sub")).toEqual(names);
});

test("a relay killed while the callback works on a request does not send it again, and goes on with the next", async () => {
  await using setup = await setUp();
  await using receiver = await startScriptedReceiver();
  await setup.publish({ name: "first" }, { name: "victim", answers: ["hang"] }, { name: "next" });
  await using relay = await setup.start(`${receiver.url}/sub`);
  await eventually(() => receiver.names("/sub").includes("victim"));
  const journal = await readFile(join(setup.directory, ".relay", "journal", "sub"), "utf8");
  expect(journal).toMatch(/^2 \d{19} [0-9a-f]{8}$/mu);
  relay.signal("SIGKILL");
  expect(await relay.exited).toBe(137);
  await using again = await setup.start(`${receiver.url}/sub`);
  await eventually(() => hasEnded(again, "delivered", 1));
  expect(await isThrough(setup)).toBe(true);
  expect(receiver.names("/sub")).toEqual(["first", "victim", "next"]);
});

test("nor when nats-server is killed with it, and has forgotten that the message was acknowledged", async () => {
  await using setup = await setUp();
  await using receiver = await startScriptedReceiver();
  await setup.publish({ name: "first" });
  await using relay = await setup.start(`${receiver.url}/sub`);
  await eventually(() => isThrough(setup));
  // A server writes down what was acknowledged a tenth of a second later: killed at once, it knows of none of these.
  const victims = Array.from({ length: 20 }, (_, index) => ({ name: `victim-${index}` }));
  await setup.publish(...victims, { name: "stuck", answers: ["hang"] }, { name: "next" });
  await eventually(() => receiver.names("/sub").includes("stuck"));
  await Promise.all([setup.nats.kill(), killed(relay)]);
  await setup.nats.restart();
  await using again = await setup.start(`${receiver.url}/sub`);
  await again.logged("Consuming");
  await eventually(() => receiver.names("/sub").includes("next"), { withinMs: 15_000 });
  await eventually(() => isThrough(setup), { withinMs: 15_000 });
  const expected = ["first", ...victims.map(({ name }) => name), "stuck", "next"];
  expect(receiver.names("/sub")).toEqual(expected);
});

test("nor when nats-server comes back without the last message and the acknowledgements before it", async () => {
  await using setup = await setUp();
  await using receiver = await startScriptedReceiver();
  const names = ["first", "second", "third", "tail"];
  await setup.publish({ name: "first" });
  await using relay = await setup.start(`${receiver.url}/sub`);
  await eventually(() => isThrough(setup));
  relay.signal("SIGTERM");
  expect(await relay.exited).toBe(0);
  await setup.publish({ name: "second" }, { name: "third" });
  await setup.nats.kill();
  const store = join(setup.nats.directory, "store");
  await cp(store, `${store}-before`, { recursive: true });
  await setup.nats.restart();
  await eventually(() => setup.publish({ name: "tail" }).then(() => true));
  await using again = await setup.start(`${receiver.url}/sub`);
  await eventually(() => receiver.names("/sub").length === names.length);
  await Promise.all([setup.nats.kill(), killed(again)]);
  await rm(store, { recursive: true });
  await rename(`${store}-before`, store);
  await setup.nats.restart();
  await using last = await setup.start(`${receiver.url}/sub`);
  await last.logged("Consuming");
  await eventually(() => isThrough(setup), { withinMs: 15_000 });
  expect(receiver.names("/sub")).toEqual(names);
}, 120_000);

async function killed(relay: RelayProcess): Promise<void> {
  relay.signal("SIGKILL");
  await relay.exited;
}
