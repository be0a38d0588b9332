// What happens in a chaos run, one thing after another in three lines at once: to the relays, to the servers, by an operator.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Host } from "../support/hosts.ts";
import type { NatsCluster } from "../support/nats-server.ts";
import { type Acts, askJetStream, relayActs, runActs, serverActs } from "../support/random-faults.ts";
import { BUCKET, LETTERS, STREAM, WORKS } from "./workload.ts";

type Json = Readonly<Record<string, unknown>>;

interface FaultOptions {
  readonly seed: number;
  readonly durationMs: number;
  readonly hosts: readonly Host[];
  readonly cluster: NatsCluster;
  readonly client: NatsConnection;
  readonly onAct: (name: string) => void;
}

const API_MS = 10_000;

export function chaosConfig(options: {
  servers: readonly string[];
  callbackUrl: string;
  version: number;
}): Json {
  const { servers, callbackUrl, version } = options;
  const retry = { retryOption: "Retry On Fail", retryStrategy: "LINEAR", maxAttempts: 5 };
  return {
    nats: { servers },
    logs: { level: "info" },
    state: { bucket: BUCKET },
    endpoints: [
      { name: "work", type: "jetstream", consumer: { stream: STREAM, ackWaitSeconds: 5 } },
      { name: "letters", type: "jetstream", producer: { stream: LETTERS, subject: "dlq" } },
    ],
    entrypoints: WORKS.map(({ name: id, qos }) => ({
      type: "webhook",
      id,
      endpoint: "work",
      qos,
      dlq: { endpoint: "letters" },
      configuration: {
        http: { maxConcurrentConnections: 5 },
        interruptConsumptionOnServerError: false,
        interruptConsumptionOnException: false,
      },
    })),
    subscriptions: WORKS.map(({ name: id }) => ({
      id,
      configuration: {
        entrypointId: id,
        channel: `work.${id}`,
        callbackUrl: `${callbackUrl}/${id}`,
        deliverPolicy: "all",
        headers: [{ name: "X-Version", value: String(version) }],
        retry,
      },
    })),
  };
}

/** Ends with everything running again. Resolves with how often each fault happened. */
export async function runFaults(options: FaultOptions): Promise<Readonly<Record<string, number>>> {
  const { hosts, cluster, client } = options;
  const counts = await runActs(
    [relayActs(hosts), clusterActs(cluster, client), operatorActs(hosts, client)],
    options,
  );
  await Promise.all(WORKS.map(({ name }) => untilTaken(() => callAny(hosts, `${name}/resume`))));
  return counts;
}

function clusterActs({ servers }: NatsCluster, client: NatsConnection): Acts {
  const stepDown = async (subject: string) => void (await askJetStream(client, subject));
  const acts = serverActs(servers);
  return {
    ...acts,
    run: {
      ...acts.run,
      "stream leader steps down": () => stepDown(`STREAM.LEADER.STEPDOWN.${STREAM}`),
      "consumer leader steps down": (chance) =>
        stepDown(`CONSUMER.LEADER.STEPDOWN.${STREAM}.relay-${chance.pick(WORKS).name}`),
      "meta leader steps down": () => stepDown("META.LEADER.STEPDOWN"),
    },
  };
}

function operatorActs(hosts: readonly Host[], client: NatsConnection): Acts {
  return {
    pauseMs: [4000, 9000],
    run: {
      async reload(chance) {
        const host = chance.pick(hosts);
        await writeFile(join(host.directory, "relay.config.json"), JSON.stringify(withDefaults(host)));
        host.relay.signal("SIGHUP");
      },
      async "pause and resume"(chance) {
        const { name } = chance.pick(WORKS);
        await call(chance.pick(hosts), `${name}/pause`);
        await Bun.sleep(chance.between(0, 3000));
        await untilTaken(() => call(chance.pick(hosts), `${name}/resume`));
      },
      /** Back a little: what comes again is no loss, and first requests stay in order. */
      async seek(chance) {
        const work = chance.pick(WORKS.filter(({ qos }) => qos !== "AT_MOST_ONCE"));
        const info = await askJetStream<{ ack_floor?: { stream_seq: number } }>(
          client,
          `CONSUMER.INFO.${STREAM}.relay-${work.name}`,
        );
        const floor = info?.ack_floor?.stream_seq ?? 0;
        if (floor === 0) return;
        const sequence = Math.max(1, Math.floor(floor - chance.between(0, 300)));
        await call(chance.pick(hosts), `${work.name}/seek`, { sequence });
      },
    },
  };
}

async function callAny(hosts: readonly Host[], path: string): Promise<boolean> {
  for (const host of hosts) if (await call(host, path)) return true;
  return false;
}

/** What startRelay() adds. */
function withDefaults(host: Host): Json {
  return { server: { listen: "127.0.0.1:0" }, ...host.nextConfig() };
}

/** True: answered with 200. A relay that is down or frozen answers nothing. */
async function call({ relay }: Host, path: string, body?: object): Promise<boolean> {
  try {
    const url = relay.logs.find(({ message }) => message === "Relay runs")?.["url"];
    if (typeof url !== "string") return false;
    const response = await fetch(`${url}api/subscriptions/${path}`, {
      method: "POST",
      signal: AbortSignal.timeout(API_MS),
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return response.status === 200;
  } catch {
    return false;
  }
}

/** Ten times at most: what is not taken then shows in the result. */
async function untilTaken(act: () => Promise<boolean>): Promise<void> {
  for (let tries = 1; tries <= 10; tries += 1) {
    if (await act()) return;
    await Bun.sleep(1000);
  }
}
