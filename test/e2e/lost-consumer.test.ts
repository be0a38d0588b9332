// A consumer that somebody deleted goes on where it was, through the binary: also before its first ack, and after a seek.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState } from "../support/metrics.ts";
import { addStream, removeConsumer } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

interface Setup extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly receiver: ScriptedReceiver;
  publish: (names: readonly string[]) => Promise<void>;
  command: (name: string, body?: object) => Promise<void>;
  names: () => readonly string[];
  deleteConsumer: () => Promise<void>;
}

/** Whatever comes is answered with 500 until the receiver heals. */
async function setUp(deliverPolicy: string, before: readonly string[]): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client);
  const js = jetstream(client);
  const manager = await jetstreamManager(client);
  const publish: Setup["publish"] = async (names) => {
    for (const name of names) await js.publish("orders.x", JSON.stringify({ name, answers: [500] }));
  };
  await publish(before);
  const receiver = stack.use(await startScriptedReceiver());
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: `${receiver.url}/sub`,
    qos: "AT_LEAST_ONCE",
    subscription: { deliverPolicy, retry: { retryOption: "No Retry" } },
  });
  const relay = stack.use(await startRelay({ config }));
  const api = await openApi(await relay.url());
  await relay.logged("Consuming");
  const owned = stack.move();
  return {
    relay,
    receiver,
    publish,
    async command(name, body = {}) {
      expect((await api("POST", `/api/subscriptions/sub/${name}`, { body })).status).toBe(200);
    },
    names: () => receiver.names("/sub"),
    deleteConsumer: () => removeConsumer(manager, { stream: "ORDERS", durable: "relay-sub" }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

test.concurrent.each<[policy: string, before: readonly string[], after: readonly string[]]>([
  ["new", [], ["1", "2", "3"]],
  ["new", ["0"], ["1", "2", "3"]],
  ["last", ["1"], ["2", "3"]],
  ["last", ["0", "1"], ["2", "3"]],
])(
  "%s after %j: deleted in a failure before the first ack, it goes on there",
  async (policy, before, after) => {
    await using setup = await setUp(policy, before);
    const { relay, receiver, publish, command, names } = setup;
    await publish(after);
    await eventually(() => isInState(relay, "sub", "failed"));
    await setup.deleteConsumer();
    receiver.heal();
    await command("resume");
    await eventually(() => names().at(-1) === "3");
    expect(names()).toEqual(["1", "1", "2", "3"]);
  },
);

test.concurrent.each(["all", "new"])(
  "%s: deleted in a pause after a seek, it goes on there",
  async (policy) => {
    await using setup = await setUp(policy, []);
    const { relay, receiver, publish, command, names } = setup;
    receiver.heal();
    await publish(["1", "2", "3", "4", "5"]);
    await eventually(() => names().length === 5);
    await command("pause");
    await eventually(() => isInState(relay, "sub", "paused"));
    await command("seek", { sequence: 4 });
    await setup.deleteConsumer();
    await command("resume");
    await eventually(() => names().length >= 7);
    expect(names().slice(5)).toEqual(["4", "5"]);
  },
);
