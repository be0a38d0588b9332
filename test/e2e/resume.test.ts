// How an interrupted subscription comes back: by itself with one message as a probe, or not at all; the others do not notice.

import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric, readReadiness } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

const AUTO_RESUME = { strategy: "AUTO", initialDelaySeconds: 1, maxDelaySeconds: 2 };

let stack: AsyncDisposableStack;
let nats: NatsServer;
let js: JetStreamClient;
let manager: JetStreamManager;
let receiver: ScriptedReceiver;
let streams = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  js = jetstream(client);
  manager = await jetstreamManager(client);
});
afterAll(() => stack.disposeAsync());

interface Started extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly stream: string;
  /** To the subscription of that id. */
  publish: (id: string, name: string, answers?: readonly (number | string)[]) => Promise<unknown>;
  names: (id: string) => readonly string[];
}

/** A stream and a relay with the subscriptions `auto`, `manual` and `other`, which each get what is published for them. */
async function start(
  qos: "AUTO" | "AT_LEAST_ONCE" | "NONE",
  { resume = AUTO_RESUME } = {},
): Promise<Started> {
  await using owned = new AsyncDisposableStack();
  receiver = owned.use(await startScriptedReceiver());
  streams += 1;
  const stream = `RESUME_${streams}`;
  const prefix = `resume-${streams}`;
  await addStream(await nats.connect(), { name: stream, subjects: [`${prefix}.*`] });
  const base = testConfig({ natsUrl: nats.url, callbackUrl: "", qos, consumer: { stream } });
  const entrypoint = (id: string, configuration: object) => ({
    type: "webhook",
    id,
    endpoint: "orders",
    qos,
    configuration,
  });
  const subscription = (id: string, entrypointId: string) => ({
    id,
    configuration: {
      entrypointId,
      channel: `${prefix}.${id}`,
      callbackUrl: `${receiver.url}/${id}`,
      deliverPolicy: "all",
    },
  });
  const config = {
    ...base,
    entrypoints: [entrypoint("by-itself", { resume }), entrypoint("by-hand", {})],
    subscriptions: [
      subscription("auto", "by-itself"),
      subscription("manual", "by-hand"),
      subscription("other", "by-hand"),
    ],
  };
  const relay = owned.use(await startRelay({ config }));
  for (const id of ["auto", "manual", "other"]) await eventually(() => isInState(relay, id, "running"));
  const moved = owned.move();
  return {
    relay,
    stream,
    publish: (id, name, answers = [200]) => js.publish(`${prefix}.${id}`, JSON.stringify({ name, answers })),
    names: (id) => receiver.names(`/${id}`),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

const GOOD = ["a", "b", "c", "d", "e", "f"];

test.each(["AUTO", "AT_LEAST_ONCE"] as const)(
  "%s: probes send the cause alone, further and further apart, until it is delivered; then all the rest goes",
  async (qos) => {
    await using started = await start(qos);
    const { relay, stream, publish, names } = started;
    await publish("auto", "cause", [500, 503, 500, 200]);
    await publish("manual", "cause", [500]);
    await eventually(() => isInState(relay, "auto", "failed"));
    await eventually(() => isInState(relay, "manual", "failed"));
    for (const name of GOOD) {
      await publish("auto", name);
      await publish("manual", name);
    }
    // Failed is what it stays, also while a probe is under way; and whoever is not concerned goes on.
    let others = 0;
    while (names("auto").length < 3) {
      const isFailed = await isInState(relay, "auto", "failed");
      const { idle } = await readReadiness(relay);
      // On a busy machine the fourth may be delivered meanwhile.
      if (names("auto").length > 3) break;
      expect(isFailed).toBe(true);
      expect(idle).toContain("Subscription auto failed");
      others += 1;
      await publish("other", String(others));
      await eventually(() => names("other").length === others);
      await eventually(async () => {
        const { num_ack_pending } = await manager.consumers.info(stream, "relay-auto");
        // An ordered subscription fills its window, and sends one of it.
        return num_ack_pending <= (qos === "AT_LEAST_ONCE" ? 1 + GOOD.length : 1);
      });
    }
    await eventually(() => names("auto").length === 4 + GOOD.length);
    expect(names("auto").slice(0, 4)).toEqual(["cause", "cause", "cause", "cause"]);
    expect(names("auto").slice(4).toSorted()).toEqual(GOOD);
    if (qos === "AT_LEAST_ONCE") expect(names("auto").slice(4)).toEqual(GOOD);
    await eventually(() => isInState(relay, "auto", "running"));
    expect((await readReadiness(relay)).idle).toEqual(["Subscription manual failed"]);
    expect(
      await readMetric(relay, "relay_state_changes_total", { subscription: "auto", reason: "failure" }),
    ).toBe(3);
    const resumed = relay.logs.filter(
      ({ message, by }) => message === "Subscription resumed" && by === "recovery",
    );
    expect(resumed).toHaveLength(1);

    const sentAt = receiver.requests.filter(({ path }) => path === "/auto").map(({ at }) => at);
    const gaps = [1, 2, 3].map((index) => (sentAt[index] ?? 0) - (sentAt[index - 1] ?? 0));
    for (const [index, leastMs] of [1000, 2000, 2000].entries()) {
      expect(gaps[index]).toBeGreaterThanOrEqual(leastMs);
    }

    // By hand means: not by itself, however long the callback has been well again.
    expect(await isInState(relay, "manual", "failed")).toBe(true);
    expect(names("manual")).toEqual(["cause"]);
    const { num_pending, ack_floor } = await manager.consumers.info(stream, "relay-manual");
    expect(num_pending).toBeGreaterThanOrEqual(GOOD.length);
    expect(ack_floor.consumer_seq).toBe(0);
  },
  120_000,
);

test("a second interruption after a delivery starts again with the shortest delay", async () => {
  const resume = { ...AUTO_RESUME, maxDelaySeconds: 60 };
  await using started = await start("AT_LEAST_ONCE", { resume });
  const { relay, publish, names } = started;
  await publish("auto", "first", [500, 500, 500, 200]);
  await publish("auto", "second", [500, 200]);
  await eventually(() => names("auto").length === 6);
  expect(names("auto")).toEqual(["first", "first", "first", "first", "second", "second"]);
  await eventually(() => isInState(relay, "auto", "running"));
  const sentAt = receiver.requests.map(({ at }) => at);
  const gap = (sentAt[5] ?? 0) - (sentAt[4] ?? 0);
  expect(gap).toBeGreaterThanOrEqual(1000);
  // Else it would have been the fourth delay in a row.
  expect(gap).toBeLessThan(8000);
});

test("whoever recovered by a probe stops like all others where another relay fails later", async () => {
  await using started = await start("AUTO");
  const { relay, publish, names } = started;
  await publish("auto", "cause", [500, 200]);
  await eventually(() => names("auto").length === 2);
  await eventually(() => isInState(relay, "auto", "running"));
  const bucket = await new Kvm(await nats.connect()).open("relay");
  const failure = { text: "Message 7 of another relay", at: new Date().toISOString(), message: null };
  const failedAt = performance.now();
  await bucket.put("state.auto.failure", JSON.stringify(failure));
  await eventually(() => isInState(relay, "auto", "failed"));
  await publish("auto", "next");
  await eventually(() => names("auto").length === 3);
  // As a probe, after its delay.
  expect(performance.now() - failedAt).toBeGreaterThanOrEqual(1000);
});

test("NONE: the cause is lost and named, a probe takes the next message, and the rest follows", async () => {
  await using started = await start("NONE");
  const { relay, publish, names } = started;
  await publish("auto", "cause", [500]);
  const interruption = await relay.logged("Subscription interrupted");
  expect(interruption["cause"]).toEndWith("Callback answered 500; the message is lost");
  for (const name of GOOD) await publish("auto", name);
  await eventually(() => names("auto").length === 1 + GOOD.length);
  expect(names("auto").slice(0, 2)).toEqual(["cause", "a"]);
  expect(names("auto").slice(1).toSorted()).toEqual(GOOD);
  await eventually(() => isInState(relay, "auto", "running"));
});
