// Random faults from a seed: acts that kill, freeze and restart relays and nats-servers, in lines that run side by side.

import type { NatsConnection } from "@nats-io/transport-node";
import type { Host } from "./hosts.ts";
import type { NatsServer } from "./nats-server.ts";

/** One act after another, each after a pause of its own. */
export interface Acts {
  readonly pauseMs: Span;
  readonly run: Readonly<Record<string, (chance: Chance) => Promise<void>>>;
}

export interface Chance {
  readonly between: (from: number, to: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

type Span = readonly [from: number, to: number];

/** Numbers from 0 to 1, the same ones for the same seed. */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Ends when the last act of each line has ended. Resolves with how often each act was done. */
export async function runActs(
  lines: readonly Acts[],
  { seed, durationMs, onAct }: { seed: number; durationMs: number; onAct: (name: string) => void },
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  const endsAt = performance.now() + durationMs;

  /** Each line has numbers of its own, so that what one waits for does not change the choices of the others. */
  async function runLine({ pauseMs, run }: Acts, index: number): Promise<void> {
    const random = createRandom(seed * lines.length + index);
    const between = (from: number, to: number) => from + random() * (to - from);
    const names = Object.keys(run);
    while (performance.now() < endsAt) {
      await Bun.sleep(between(...pauseMs));
      if (performance.now() >= endsAt) return;
      const name = pick(names, random);
      counts[name] = (counts[name] ?? 0) + 1;
      onAct(name);
      await run[name]?.({ between, pick: (list) => pick(list, random) });
    }
  }

  await Promise.all(lines.map(runLine));
  return counts;
}

function pick<T>(list: readonly T[], random: () => number): T {
  const picked = list[Math.floor(random() * list.length)];
  if (picked === undefined) throw new Error("Nothing to pick from");
  return picked;
}

export function relayActs(hosts: readonly Host[], { pauseMs = [2000, 5000] }: { pauseMs?: Span } = {}): Acts {
  return {
    pauseMs,
    run: {
      async "relay killed"(chance) {
        const host = chance.pick(hosts);
        host.relay.signal("SIGKILL");
        await Bun.sleep(chance.between(0, 3000));
        await host.restart();
      },
      async "relay frozen"(chance) {
        await freeze(chance.pick(hosts).relay, chance.between(500, 8000));
      },
      async "relay restarted"(chance) {
        const host = chance.pick(hosts);
        host.relay.signal("SIGTERM");
        await host.restart();
      },
    },
  };
}

export function serverActs(servers: readonly NatsServer[]): Acts {
  return {
    pauseMs: [3000, 7000],
    run: {
      async "server killed"(chance) {
        const server = chance.pick(servers);
        await server.kill();
        await Bun.sleep(chance.between(0, 4000));
        await server.restart();
      },
      async "server frozen"(chance) {
        await freeze(chance.pick(servers), chance.between(500, 6000));
      },
      async "rolling restart"(chance) {
        for (const server of servers) {
          await server.terminate();
          await server.restart();
          await Bun.sleep(chance.between(1000, 3000));
        }
      },
    },
  };
}

async function freeze(process: Pick<NatsServer, "signal">, forMs: number): Promise<void> {
  process.signal("SIGSTOP");
  await Bun.sleep(forMs);
  process.signal("SIGCONT");
}

/** Asks JetStream's API; null: no answer. */
export async function askJetStream<T>(client: NatsConnection, subject: string): Promise<T | null> {
  try {
    return (await client.request(`$JS.API.${subject}`, "", { timeout: 2000 })).json<T>();
  } catch {
    return null;
  }
}
