// What happens in a chaos run, one thing after another in three lines at once: to the relays, to the servers, by an operator.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NatsConnection } from "@nats-io/transport-node";
import type { NatsCluster, NatsServer } from "../support/nats-server.ts";
import type { RelayProcess } from "../support/relay.ts";
import { BUCKET, LETTERS, STREAM, WORKS } from "./workload.ts";

type Json = Readonly<Record<string, unknown>>;

export interface Host {
  readonly name: string;
  readonly directory: string;
  readonly relay: RelayProcess;
  /** One that differs from the one before. */
  nextConfig: () => Json;
  /** Once it has ended. */
  restart: () => Promise<void>;
}

export interface Faults {
  /** Ends with everything running again. */
  run: (durationMs: number) => Promise<void>;
  readonly counts: Readonly<Record<string, number>>;
}

export interface FaultOptions {
  readonly seed: number;
  readonly hosts: readonly Host[];
  readonly cluster: NatsCluster;
  readonly client: NatsConnection;
  readonly onFault: (name: string) => void;
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

/** Numbers from 0 to 1, the same ones for the same seed. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function createFaults({ seed, hosts, cluster, client, onFault }: FaultOptions): Faults {
  const counts: Record<string, number> = {};
  const lines = [relayFaults(), serverFaults(), operatorActs()];
  let endsAt = 0;

  /** Each line has numbers of its own, so that what one waits for does not change the choices of the others. */
  async function runLine(acts: Acts, index: number): Promise<void> {
    const random = createRandom(seed * lines.length + index);
    const between = (from: number, to: number) => from + random() * (to - from);
    while (performance.now() < endsAt) {
      await Bun.sleep(between(...acts.pauseMs));
      if (performance.now() >= endsAt) return;
      const names = Object.keys(acts.run);
      const name = names[Math.floor(random() * names.length)] ?? "";
      counts[name] = (counts[name] ?? 0) + 1;
      onFault(name);
      await acts.run[name]?.({ between, pick: (list) => pick(list, random) });
    }
  }

  function relayFaults(): Acts {
    return {
      pauseMs: [2000, 5000],
      run: {
        async "relay killed"({ between, pick: choose }) {
          const host = choose(hosts);
          host.relay.signal("SIGKILL");
          await Bun.sleep(between(0, 3000));
          await host.restart();
        },
        async "relay frozen"({ between, pick: choose }) {
          const { relay } = choose(hosts);
          relay.signal("SIGSTOP");
          await Bun.sleep(between(500, 8000));
          relay.signal("SIGCONT");
        },
        async "relay restarted"({ pick: choose }) {
          const host = choose(hosts);
          host.relay.signal("SIGTERM");
          await host.restart();
        },
      },
    };
  }

  function serverFaults(): Acts {
    const freeze = async (server: NatsServer, forMs: number) => {
      server.signal("SIGSTOP");
      await Bun.sleep(forMs);
      server.signal("SIGCONT");
    };
    return {
      pauseMs: [3000, 7000],
      run: {
        async "server killed"({ between, pick: choose }) {
          const server = choose(cluster.servers);
          await server.kill();
          await Bun.sleep(between(0, 4000));
          await server.restart();
        },
        async "server frozen"({ between, pick: choose }) {
          await freeze(choose(cluster.servers), between(500, 6000));
        },
        async "rolling restart"({ between }) {
          for (const server of cluster.servers) {
            await server.terminate();
            await server.restart();
            await Bun.sleep(between(1000, 3000));
          }
        },
        "stream leader steps down": async () => stepDown(`STREAM.LEADER.STEPDOWN.${STREAM}`),
        "consumer leader steps down": async ({ pick: choose }) =>
          stepDown(`CONSUMER.LEADER.STEPDOWN.${STREAM}.relay-${choose(WORKS).name}`),
        "meta leader steps down": async () => stepDown("META.LEADER.STEPDOWN"),
      },
    };
  }

  function operatorActs(): Acts {
    return {
      pauseMs: [4000, 9000],
      run: {
        async reload({ pick: choose }) {
          const host = choose(hosts);
          await writeFile(join(host.directory, "relay.config.json"), JSON.stringify(withDefaults(host)));
          host.relay.signal("SIGHUP");
        },
        async "pause and resume"({ between, pick: choose }) {
          const { name } = choose(WORKS);
          await call(choose(hosts), `${name}/pause`);
          await Bun.sleep(between(0, 3000));
          await untilTaken(() => call(choose(hosts), `${name}/resume`));
        },
        /** Back a little: what comes again is no loss, and first requests stay in order. */
        async seek({ between, pick: choose }) {
          const work = choose(WORKS.filter(({ qos }) => qos !== "AT_MOST_ONCE"));
          const info = await ask<{ ack_floor?: { stream_seq: number } }>(
            `CONSUMER.INFO.${STREAM}.relay-${work.name}`,
          );
          const floor = info?.ack_floor?.stream_seq ?? 0;
          if (floor === 0) return;
          const sequence = Math.max(1, Math.floor(floor - between(0, 300)));
          await call(choose(hosts), `${work.name}/seek`, { sequence });
        },
      },
    };
  }

  async function stepDown(subject: string): Promise<void> {
    await ask(subject);
  }

  /** null: no answer. */
  async function ask<T>(subject: string): Promise<T | null> {
    try {
      return (await client.request(`$JS.API.${subject}`, "", { timeout: 2000 })).json<T>();
    } catch {
      return null;
    }
  }

  return {
    async run(durationMs) {
      endsAt = performance.now() + durationMs;
      await Promise.all(lines.map(runLine));
      await Promise.all(WORKS.map(({ name }) => untilTaken(() => callAny(`${name}/resume`))));
    },
    counts,
  };

  async function callAny(path: string): Promise<boolean> {
    for (const host of hosts) if (await call(host, path)) return true;
    return false;
  }
}

interface Acts {
  readonly pauseMs: readonly [from: number, to: number];
  readonly run: Readonly<Record<string, (chance: Chance) => Promise<void>>>;
}

interface Chance {
  readonly between: (from: number, to: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

function pick<T>(list: readonly T[], random: () => number): T {
  const picked = list[Math.floor(random() * list.length)];
  if (picked === undefined) throw new Error("Nothing to pick from");
  return picked;
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
