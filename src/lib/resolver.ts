// Resolves host names: with c-ares, which needs no thread, and with getaddrinfo for names that only the system knows.
//
// File I/O and getaddrinfo share two threads of the runtime's pool, and a getaddrinfo whose name server is silent blocks
// its thread for a minute. So c-ares comes first, and getaddrinfo runs once at a time in the whole process.

import { lookup, setServers } from "node:dns";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";

import { codeOf } from "./errors.ts";
import { createLimiter } from "./limiter.ts";

/**
 * The addresses of a host, in the order of RFC 6724; at least one. Rejects with a `NameError`, also after 10 s, and at
 * once when `signal` aborts.
 */
type Resolve = (host: string, signal: AbortSignal) => Promise<readonly string[]>;

export interface NameSources {
  /** Asks `/etc/hosts` and the name servers. Rejects with a `NameError`. */
  readonly askNameServers: Ask;
  /** Asks all sources of the system (`nsswitch.conf`). */
  readonly askSystem: Ask;
}

type Ask = (host: string) => Promise<readonly string[]>;

export class NameError extends Error {
  /** For people; without the host. */
  readonly reason: string;

  constructor(host: string, reason: string) {
    super(`${host}: ${reason}`);
    this.name = "NameError";
    this.reason = reason;
  }
}

const NO_ANSWER = "name server did not answer";
const REASONS: Readonly<Record<string, string>> = {
  ENOTFOUND: "name not found",
  ENODATA: "name has no address",
  ETIMEOUT: NO_ANSWER,
  ESERVFAIL: "name server failed",
  EREFUSED: "name server refuses to answer",
  ECONNREFUSED: "no name server can be reached",
};

const LOOK_UP_MS = 10_000;
const FOUND_MS = 5000;
const FAILED_MS = 1000;
/** The most look-ups at a time: name servers drop bursts. */
const MAX_ASKED = 64;
/** After this time without an answer, a look-up no longer counts, and another one may start. */
const SILENT_MS = 1000;
const MAX_NAMES = 1000;

interface LookUp {
  readonly promise: Promise<readonly string[]>;
  /** Why there is no answer yet. */
  reason: string;
}

interface Known {
  readonly result: Promise<readonly string[]>;
  readonly untilMs: number;
}

export function createResolver({ askNameServers, askSystem }: NameSources): Resolve {
  const running = new Map<string, LookUp>();
  const known = new Map<string, Known>();
  const slots = createLimiter(MAX_ASKED);
  const systemPlace = createLimiter(1);
  /** Abandoned look-ups count until they end. */
  let asked = 0;

  function start(host: string): LookUp {
    const { promise, resolve, reject } = Promise.withResolvers<readonly string[]>();
    const lookUp: LookUp = { promise, reason: NO_ANSWER };
    const late = new AbortController();
    const timer = setTimeout(() => {
      reject(new NameError(host, lookUp.reason));
      late.abort();
    }, LOOK_UP_MS);
    running.set(host, lookUp);
    find(host, lookUp, late.signal).then(resolve, reject);
    const end = (forMs: number) => {
      clearTimeout(timer);
      running.delete(host);
      remember(host, { result: promise, untilMs: performance.now() + forMs });
    };
    promise.then(
      () => end(FOUND_MS),
      () => end(FAILED_MS),
    );
    return lookUp;
  }

  async function find(host: string, lookUp: LookUp, signal: AbortSignal): Promise<readonly string[]> {
    try {
      return await ask(host, signal);
    } catch (error) {
      const reason = error instanceof NameError ? error.reason : NO_ANSWER;
      // The system would ask the same servers.
      if (reason === NO_ANSWER) throw error;
      lookUp.reason = `${reason}, and the system's resolver is busy with another name`;
      if (!(await systemPlace.acquire(signal))) throw error;
      lookUp.reason = `${reason}, and the system's resolver did not answer`;
      try {
        return await askSystem(host);
      } catch {
        throw error;
      } finally {
        systemPlace.release();
      }
    }
  }

  async function ask(host: string, signal: AbortSignal): Promise<readonly string[]> {
    if (!(await slots.acquire(signal))) throw new NameError(host, NO_ANSWER);
    let isHolding = true;
    const giveBack = () => {
      if (isHolding) slots.release();
      isHolding = false;
    };
    const timer = setTimeout(giveBack, SILENT_MS);
    asked += 1;
    try {
      return await askNameServers(host);
    } finally {
      asked -= 1;
      clearTimeout(timer);
      giveBack();
    }
  }

  function remember(host: string, entry: Known): void {
    const [oldest] = known.keys();
    if (known.size >= MAX_NAMES && oldest !== undefined) known.delete(oldest);
    known.delete(host);
    known.set(host, entry);
  }

  function recall(host: string): Known | null {
    const entry = known.get(host);
    if (entry === undefined) return null;
    if (performance.now() < entry.untilMs) return entry;
    known.delete(host);
    return null;
  }

  return (host, signal) => {
    if (signal.aborted) return Promise.reject(new NameError(host, NO_ANSWER));
    if (isIP(host) !== 0) return Promise.resolve([host]);
    const entry = recall(host);
    if (entry !== null) return entry.result;
    if (!running.has(host) && Math.max(running.size, asked) >= MAX_NAMES) {
      return Promise.reject(new NameError(host, "too many other names are being looked up"));
    }
    return untilAborted(host, running.get(host) ?? start(host), signal);
  };
}

function untilAborted(host: string, lookUp: LookUp, signal: AbortSignal): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new NameError(host, lookUp.reason));
    const leave = () => signal.removeEventListener("abort", onAbort);
    signal.addEventListener("abort", onAbort);
    lookUp.promise.then(resolve, reject).finally(leave);
  });
}

/** The resolver of the process: one, because it limits the threads. */
export const resolveHost: Resolve = createResolver({
  askNameServers: askByCares,
  askSystem: askByGetaddrinfo,
});

/** Some name servers drop IPv6 questions: do not let IPv4 addresses wait for that time-out. */
const IPV4_ALONE_AFTER_MS = 500;
const ANY_FAMILY = 0;

function askByCares(host: string): Promise<readonly string[]> {
  followNameServers();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      queryByCares(host, 4).then(resolve, () => {});
    }, IPV4_ALONE_AFTER_MS);
    queryByCares(host, ANY_FAMILY)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

let queries = 0;

async function queryByCares(host: string, family: 0 | 4): Promise<readonly string[]> {
  queries += 1;
  // Bun joins equal queries. An abandoned one repeats its question rarely, so a new one must not join it: vary the port.
  const port = 1 + (queries % 65_535);
  try {
    const found = await Bun.dns.lookup(host, { backend: "c-ares", family, port });
    return found.map(({ address }) => address);
  } catch (error) {
    const code = codeOf(error).replace(/^DNS_/u, "");
    throw new NameError(host, REASONS[code] ?? (code === "" ? "unknown reason" : code));
  }
}

function askByGetaddrinfo(host: string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true }, (error, found) => {
      if (error !== null || found.length === 0) reject(error ?? new NameError(host, "name has no address"));
      else resolve(found.map(({ address }) => address));
    });
  });
}

const RESOLV_CONF = "/etc/resolv.conf";
const FOLLOW_EVERY_MS = 1000;
const MAX_NAME_SERVERS = 3;
/** The default of resolv.conf(5). */
const LOCAL_NAME_SERVER = "127.0.0.1";

let resolvConf: string | null = null;
let followedAtMs = -Infinity;

/** c-ares reads the file only once, but it changes when the host joins a network. */
function followNameServers(): void {
  const nowMs = performance.now();
  if (nowMs - followedAtMs < FOLLOW_EVERY_MS) return;
  followedAtMs = nowMs;
  const before = resolvConf;
  resolvConf = readResolvConf() ?? before;
  if (resolvConf === null || before === null || before === resolvConf) return;
  try {
    setServers(nameServersOf(resolvConf));
  } catch {
    // Keep the present servers if c-ares refuses one, such as an address with a zone.
  }
}

/** null: it cannot be read now, for example without a free file descriptor. */
function readResolvConf(): string | null {
  try {
    return readFileSync(RESOLV_CONF, "utf8");
  } catch (error) {
    return codeOf(error) === "ENOENT" ? "" : null;
  }
}

function nameServersOf(text: string): string[] {
  const servers = [...text.matchAll(/^nameserver[ \t]+(\S+)/gmu)].flatMap(([, address = ""]) =>
    isIP(address) === 0 ? [] : [address],
  );
  return servers.length === 0 ? [LOCAL_NAME_SERVER] : servers.slice(0, MAX_NAME_SERVERS);
}
