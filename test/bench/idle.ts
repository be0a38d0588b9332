// What subscriptions cost while nothing comes for them: `bun test/bench/idle.ts [--subscriptions 1000] [--qos AUTO] [--seconds 30]`.
//
// Prints the share of one core that the relay and nats-server take, once all of them consume.

import { parseArgs } from "node:util";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startRelay } from "../support/relay.ts";
import { readProcess } from "./process.ts";

const { values } = parseArgs({
  options: {
    subscriptions: { type: "string", default: "1000" },
    qos: { type: "string", default: "AUTO" },
    seconds: { type: "string", default: "30" },
  },
});
const count = Number(values.subscriptions);
const seconds = Number(values.seconds);
const START_MS = 300_000;
const SETTLE_MS = 15_000;

function toConfig(natsUrl: string): Record<string, unknown> {
  return {
    nats: { servers: [natsUrl] },
    logs: { level: "info" },
    endpoints: [{ name: "orders", type: "jetstream", consumer: { stream: "ORDERS" } }],
    entrypoints: [{ type: "webhook", endpoint: "orders", qos: values.qos }],
    subscriptions: Array.from({ length: count }, (_, index) => ({
      id: `s${index}`,
      configuration: {
        entrypointId: "webhook",
        channel: `orders.${index}`,
        callbackUrl: "http://127.0.0.1:9/",
      },
    })),
  };
}

await using nats = await startNatsServer();
await addStream(await nats.connect(), { max_consumers: -1 });
const startedAt = performance.now();
await using relay = await startRelay({ config: toConfig(nats.url) });
await eventually(() => relay.logs.filter(({ message }) => message === "Consuming").length >= count, {
  withinMs: START_MS,
  what: `${count} subscriptions consume`,
});
const startSeconds = (performance.now() - startedAt) / 1000;
await Bun.sleep(SETTLE_MS);

async function cpuMicros(pid: number | null): Promise<number> {
  if (pid === null) throw new Error("It is not running");
  return (await readProcess(pid)).cpuMicros;
}

const pids = [relay.pid, nats.pid];
const before = await Promise.all(pids.map(cpuMicros));
const beganAt = performance.now();
await Bun.sleep(seconds * 1000);
const micros = (performance.now() - beganAt) * 1000;
const after = await Promise.all(pids.map(cpuMicros));
const [ofRelay, ofServer] = after.map((value, index) => {
  const share = (value - (before[index] ?? 0)) / micros;
  return `${(share * 100).toFixed(2)} %`;
});
const { residentBytes } = await readProcess(relay.pid);
console.log(
  `${count} subscriptions, ${values.qos}: consuming after ${startSeconds.toFixed(1)} s; at rest relay ${ofRelay}, ` +
    `nats-server ${ofServer} of a core; relay ${Math.round(residentBytes / 1e6)} MB`,
);
