// The connections to a listener: how many there may be, from one network and in all, and how long each may keep Relay waiting.
//
//   head -> body -> answer <-> write
//    ^-----------------'            any of them -> closed
//
// Where there is no room for a new one, the one that has been sending its request for the longest time makes it: whoever sends at
// once stays, whoever only holds a connection goes. Where all are being answered, the new one is closed.

import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { networkOf } from "./failed-tries.ts";

/** What it waits for: the head of a request, its body, its answer, or that the client takes some of the answer. */
type Phase = "head" | "body" | "answer" | "write";

export interface ConnectionLimits {
  readonly inAll: number;
  readonly ofNetwork: number;
  /** How long each phase may take, in ms; null: as long as it does. */
  readonly phases: Readonly<Record<Phase, number | null>>;
}

export interface ListenerConnection {
  /** What speaks TLS on its socket: only if that is closed, the descriptor is free at once. */
  readonly cover: (socket: Socket) => void;
  readonly enter: (phase: Phase) => void;
}

interface Connections {
  /** Null: there was no room, and it is closed. */
  readonly admit: (socket: Socket) => ListenerConnection | null;
  /** Closes those that have no whole request, and the others after `graceMs`. */
  readonly close: (graceMs: number) => Promise<void>;
}

interface Held {
  socket: Socket;
  readonly network: string;
}

/**
 * However slowly bytes come, these hold. `head`: TLS included, and a connection at rest; `body`: more than the gate takes to
 * refuse one; `answer`: routes limit themselves; `write`: for each 64 KiB.
 */
const PHASES = { head: 10_000, body: 15_000, answer: null, write: 10_000 } as const;
const MAX_IN_ALL = 1024;
/** The listener takes one share of the descriptors: the others are for deliveries, NATS and files. */
const SHARES = 4;
/** No network takes more than one share of the connections. */
const NETWORKS = 4;

/** For a process that may have so many descriptors open. */
export function planLimits(descriptors: number): ConnectionLimits {
  const inAll = Math.max(NETWORKS, Math.min(MAX_IN_ALL, Math.floor(descriptors / SHARES)));
  return { inAll, ofNetwork: Math.floor(inAll / NETWORKS), phases: PHASES };
}

/** For whom nothing needs to be limited. */
export const UNLIMITED: ConnectionLimits = {
  inAll: Infinity,
  ofNetwork: Infinity,
  phases: { head: null, body: null, answer: null, write: null },
};

/** `RLIMIT_NOFILE`; 1024 where the system does not tell. */
export function readDescriptorLimit(): number {
  try {
    const [, limit] = /^Max open files +(\d+)/mu.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return Number(limit ?? 1024);
  } catch {
    return 1024;
  }
}

export function createConnections({ inAll, ofNetwork, phases }: ConnectionLimits): Connections {
  const all = new Set<Held>();
  /** Those that have no whole request, in the order in which they began. */
  const receiving = new Set<Held>();
  const counts = new Map<string, number>();
  const empty = Promise.withResolvers<void>();
  let isClosing = false;

  function hasRoom(network: string): boolean {
    if ((counts.get(network) ?? 0) >= ofNetwork) return closeOne((held) => held.network === network);
    return all.size < inAll || closeOne(() => true);
  }

  function closeOne(isMeant: (held: Held) => boolean): boolean {
    for (const held of receiving) {
      if (!isMeant(held)) continue;
      forget(held);
      held.socket.destroy();
      return true;
    }
    return false;
  }

  function forget(held: Held): void {
    if (!all.delete(held)) return;
    receiving.delete(held);
    const left = (counts.get(held.network) ?? 1) - 1;
    if (left === 0) counts.delete(held.network);
    else counts.set(held.network, left);
    if (isClosing && all.size === 0) empty.resolve();
  }

  function hold(held: Held): ListenerConnection {
    const { network } = held;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const enter = (phase: Phase) => {
      clearTimeout(timer);
      if (!all.has(held)) return;
      if (phase === "head") receiving.add(held);
      else if (phase !== "body") receiving.delete(held);
      if (isClosing && phase === "head") return held.socket.destroySoon();
      const ms = phases[phase];
      if (ms !== null) timer = setTimeout(() => held.socket.destroy(), ms);
    };
    all.add(held);
    counts.set(network, (counts.get(network) ?? 0) + 1);
    held.socket.on("error", () => {}); // It closes.
    held.socket.once("close", () => {
      clearTimeout(timer);
      forget(held);
    });
    enter("head");
    return { enter, cover: (socket) => void (held.socket = socket) };
  }

  return {
    admit(socket) {
      const network = networkOf(socket.remoteAddress ?? "");
      if (!isClosing && hasRoom(network)) return hold({ socket, network });
      socket.destroy();
      return null;
    },
    async close(graceMs) {
      isClosing = true;
      if (all.size === 0) return;
      for (const { socket } of receiving) socket.destroy();
      const timer = setTimeout(() => {
        for (const { socket } of all) socket.destroy();
      }, graceMs);
      await empty.promise;
      clearTimeout(timer);
    },
  };
}
