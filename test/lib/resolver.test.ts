// Names that hang must hold up nothing but themselves: neither other names nor the threads that file I/O needs.

import { afterEach, describe, expect, test } from "bun:test";
import { getServers, setServers } from "node:dns";
import { readFile } from "node:fs/promises";

import { createResolver, NameError, type NameSources, resolveHost } from "#lib/resolver.ts";
import { eventually } from "../support/eventually.ts";
import { startNameServer } from "../support/name-server.ts";
import { startStopwatch } from "../support/stopwatch.ts";

const NEVER = new AbortController().signal;
const FOUND = ["192.0.2.1"];

interface Script {
  readonly names: string[];
  readonly system: string[];
  readonly sources: NameSources;
  /** Ends what the system was asked first. */
  readonly endSystem: (addresses: readonly string[] | null) => void;
}

/** Name servers that know `found…`, are silent about `silent…`, and have never heard of other names. */
function script(): Script {
  const names: string[] = [];
  const system: string[] = [];
  const waiting: PromiseWithResolvers<readonly string[]>[] = [];
  return {
    names,
    system,
    sources: {
      askNameServers(host) {
        names.push(host);
        if (host.startsWith("silent")) return new Promise(() => {});
        return host.startsWith("found")
          ? Promise.resolve(FOUND)
          : Promise.reject(new NameError(host, "name not found"));
      },
      askSystem(host) {
        system.push(host);
        const asked = Promise.withResolvers<readonly string[]>();
        waiting.push(asked);
        return asked.promise;
      },
    },
    endSystem(addresses) {
      if (addresses === null) waiting.shift()?.reject(new Error("ENOTFOUND"));
      else waiting.shift()?.resolve(addresses);
    },
  };
}

async function reasonOf(looking: Promise<readonly string[]>): Promise<string> {
  try {
    return `found ${String(await looking)}`;
  } catch (error) {
    return error instanceof NameError ? error.reason : String(error);
  }
}

describe("createResolver()", () => {
  test("createResolver() asks nobody for an address", async () => {
    const { names, sources } = script();
    const resolve = createResolver(sources);
    expect(await resolve("127.0.0.1", NEVER)).toEqual(["127.0.0.1"]);
    expect(await resolve("::1", NEVER)).toEqual(["::1"]);
    expect(names).toEqual([]);
  });

  test("createResolver() asks once for simultaneous look-ups of a name, and caches the answer for seconds", async () => {
    const { names, system, sources, endSystem } = script();
    const resolve = createResolver(sources);
    expect(await Promise.all([resolve("found", NEVER), resolve("found", NEVER)])).toEqual([FOUND, FOUND]);
    expect(await resolve("found", NEVER)).toEqual(FOUND);
    const unknown = [reasonOf(resolve("unknown", NEVER)), reasonOf(resolve("unknown", NEVER))];
    await eventually(() => system.length === 1);
    endSystem(null);
    expect(await Promise.all(unknown)).toEqual(["name not found", "name not found"]);
    expect(await reasonOf(resolve("unknown", NEVER))).toBe("name not found");
    expect(names).toEqual(["found", "unknown"]);
  });

  test("createResolver() asks the system for names that name servers do not know, one at a time", async () => {
    const { system, sources, endSystem } = script();
    const resolve = createResolver(sources);
    const first = resolve("printer.local", NEVER);
    const second = resolve("scanner.local", NEVER);
    await eventually(() => system.length === 1);
    expect(await resolve("found", NEVER)).toEqual(FOUND);
    expect(system).toEqual(["printer.local"]);
    endSystem(["192.0.2.7"]);
    expect(await first).toEqual(["192.0.2.7"]);
    await eventually(() => system.length === 2);
    endSystem(["192.0.2.8"]);
    expect(await second).toEqual(["192.0.2.8"]);
  });

  test("createResolver() does not ask the system after silent name servers, which it would ask too", async () => {
    const { system, sources } = script();
    const askNameServers = (host: string) =>
      Promise.reject(new NameError(host, "name server did not answer"));
    const resolve = createResolver({ ...sources, askNameServers });
    expect(await reasonOf(resolve("lost", NEVER))).toBe("name server did not answer");
    expect(system).toEqual([]);
  });

  test("createResolver() ends at once with its signal, and its error says what it waited for", async () => {
    const { system, sources } = script();
    const resolve = createResolver(sources);
    const { signal, abort } = toAbort();
    const silent = reasonOf(resolve("silent", signal));
    const hanging = reasonOf(resolve("printer.local", signal));
    await eventually(() => system.length === 1);
    const behind = reasonOf(resolve("scanner.local", signal));
    // The first wish for it has ended, not the look-up.
    await eventually(async () => {
      const short = toAbort();
      setTimeout(short.abort, 1);
      return (await reasonOf(resolve("scanner.local", short.signal))).includes("busy");
    });
    abort();
    expect(await Promise.all([silent, hanging, behind])).toEqual([
      "name server did not answer",
      "name not found, and the system's resolver did not answer",
      "name not found, and the system's resolver is busy with another name",
    ]);
    expect(await reasonOf(resolve("found", signal))).toBe("name server did not answer");
    expect(system).toEqual(["printer.local"]);
  });

  test("createResolver() looks other names up beside silent ones, up to a limit", async () => {
    const { names, sources } = script();
    const resolve = createResolver(sources);
    const { signal, abort } = toAbort();
    const silent = Array.from({ length: 1000 }, (_, index) => reasonOf(resolve(`silent-${index}`, signal)));
    expect(await reasonOf(resolve("found", NEVER))).toBe("too many other names are being looked up");
    expect(names).toHaveLength(64);
    // A second later they count as silent, and others are asked for.
    await eventually(() => names.length > 64);
    abort();
    expect(new Set(await Promise.all(silent))).toEqual(new Set(["name server did not answer"]));
  });
});

function toAbort(): { readonly signal: AbortSignal; readonly abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

describe("resolveHost()", () => {
  const servers = getServers();
  afterEach(() => setServers(servers));

  test("resolveHost() leaves the threads of file I/O alone while name servers are silent", async () => {
    await using server = await startNameServer(({ name, type }) => {
      if (name.startsWith("silent")) return undefined;
      return type === "A" ? ["127.0.0.1", "127.0.0.2"] : ["00000000000000000000000000000001"];
    });
    setServers([server.address]);
    const { signal, abort } = toAbort();
    const silent = Array.from({ length: 8 }, (_, index) =>
      reasonOf(resolveHost(`silent-${index}.test`, signal)),
    );
    await eventually(() => server.questions.length >= silent.length);
    expect(await readFile(import.meta.path, "utf8")).toContain("resolveHost");
    expect((await resolveHost("both.test", NEVER)).toSorted()).toEqual(["127.0.0.1", "127.0.0.2", "::1"]);
    abort();
    expect(new Set(await Promise.all(silent))).toEqual(new Set(["name server did not answer"]));
  });

  test("resolveHost() finds IPv4 addresses if a name server drops questions for IPv6", async () => {
    await using server = await startNameServer(({ type }) => (type === "A" ? ["127.0.0.9"] : undefined));
    setServers([server.address]);
    using watch = startStopwatch();
    expect(await resolveHost("dropping.test", NEVER)).toEqual(["127.0.0.9"]);
    // The time-out of a question is 2 s.
    watch.expectWithin(0, 1900);
  });

  test("resolveHost() finds names of /etc/hosts, and names with IPv6 addresses only", async () => {
    await using server = await startNameServer(({ name, type }) => {
      if (name !== "six.test") return null;
      return type === "A" ? [] : ["20010db8000000000000000000000001"];
    });
    setServers([server.address]);
    expect(await resolveHost("localhost", NEVER)).toContain("127.0.0.1");
    expect(await resolveHost("six.test", NEVER)).toEqual(["2001:db8::1"]);
    expect(await reasonOf(resolveHost("nowhere.invalid", NEVER))).toBe("name not found");
  });
});
