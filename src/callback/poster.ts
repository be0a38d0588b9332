// Sends POST requests to an endpoint that is no callback, one at a time: a token endpoint, a collector of spans.

import type { Route } from "#delivery/callback.ts";
import type { Exception } from "#delivery/outcome.ts";
import { proxyFor } from "#delivery/proxy.ts";
import { VERSION } from "#lib/version.ts";
import { addressOf, createDial, type OnDenied } from "./connector.ts";
import { toException } from "./exception.ts";
import { type ExchangeEnd, type RunningExchange, startExchange, stopExchange } from "./exchange.ts";
import { toHeaderLines, toRequestPrefix } from "./request-writer.ts";
import { createSlots } from "./slots.ts";
import { toTarget } from "./target.ts";

interface PosterSettings {
  readonly url: URL;
  readonly route: Route;
  /** For one request and its answer, connecting included. */
  readonly timeoutMs: number;
  /** How a request ends that took longer. */
  readonly late: Exception;
  /** False: each request has a connection of its own, and is never sent twice. */
  readonly isKept: boolean;
  readonly onDenied?: OnDenied | undefined;
}

interface Poster {
  /** Never rejects. One at a time. `headers`: name and value alternating, without those that frame the request. */
  readonly post: (headers: readonly string[], body: Uint8Array) => Promise<ExchangeEnd>;
  /** A proxy forwards the request: the answer may repeat what the proxy was told. */
  readonly isForwarded: boolean;
  /** Ends the request in flight, and each later one at once. */
  readonly close: () => void;
}

const IDLE_MS = 30_000;
const MAX_AGE_MS = 600_000;
const DEFAULT_HEADERS = [
  ["User-Agent", `relay/${VERSION}`],
  ["Accept", "application/json"],
] as const;

export function createPoster({ url, route, timeoutMs, late, isKept, onDenied }: PosterSettings): Poster {
  const address = addressOf(url);
  const target = toTarget(url, proxyFor(url, route.proxy));
  const { isForwarded } = target;
  const prefix = toRequestPrefix({ method: "POST", target, host: url.host, isKept });
  const slots = createSlots({
    dial: createDial({ url, route, onDenied }),
    address,
    idleTimeoutMs: IDLE_MS,
    maxAgeMs: MAX_AGE_MS,
    maxFree: 1,
  });
  const interrupted = toException("timeout", `Call of ${address} was interrupted`);
  let running: RunningExchange | null = null;
  let isClosed = false;

  async function post(headers: readonly string[], body: Uint8Array): Promise<ExchangeEnd> {
    if (isClosed) return { kind: "failed", exception: interrupted };
    const { promise, resolve } = Promise.withResolvers<ExchangeEnd>();
    const connection = isKept ? slots.take() : slots.takeOwn();
    const exchange = startExchange({
      connection,
      request: { prefix, lines: toHeaderLines(withDefaults(headers)), body },
      address,
      mayResend: isKept,
      isForwarded,
      onEnd: resolve,
    });
    running = exchange;
    const timer = setTimeout(() => stopExchange(exchange, late), timeoutMs);
    const end = await promise;
    clearTimeout(timer);
    slots.giveBack(connection);
    return end;
  }

  return {
    post,
    isForwarded,
    close() {
      isClosed = true;
      if (running !== null) stopExchange(running, interrupted);
      slots.close();
    },
  };
}

function withDefaults(headers: readonly string[]): readonly string[] {
  const names = new Set(headers.flatMap((name, at) => (at % 2 === 0 ? [name.toLowerCase()] : [])));
  return [...DEFAULT_HEADERS.filter(([name]) => !names.has(name.toLowerCase())).flat(), ...headers];
}
