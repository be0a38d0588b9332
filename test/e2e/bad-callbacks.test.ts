// Callbacks that misbehave, through the binary: each comes to the right outcome, and no message is lost by it.

import { jetstream, jetstreamManager, type JetStreamManager, type StoredMsg } from "@nats-io/jetstream";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { eventually } from "../support/eventually.ts";
import { isInState, readMetric } from "../support/metrics.ts";
import { answer, flood, HUGE, type Misbehaviour, OK } from "../support/misbehaviours.ts";
import { type NatsServer, startNatsServer, freePort } from "../support/nats-server.ts";
import { type Receiver, startReceiver, startTcpReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay } from "../support/relay.ts";

/** Of callbacks that do not answer; that begin an answer and do not end it; that have the time that a busy machine needs. */
const READ_TIMEOUTS_MS = { quick: 1500, slow: 6000, patient: 60_000 };
const MAX_RSS_KB = 200 * 1024;
const MESSAGES = 4;
interface Case {
  readonly id: string;
  readonly misbehaviour: Misbehaviour;
  readonly outcome: "delivered" | "rejected" | "server-error" | "exception";
  /** 0: there was none. */
  readonly status: number;
  /** Of an exception. */
  readonly cause?: string;
  readonly error?: RegExp;
}

let target: Receiver;

function exception(id: string, cause: string, error: RegExp, misbehaviour: Misbehaviour): Case {
  return { id, misbehaviour, outcome: "exception", status: 0, cause, error };
}

function delivered(id: string, misbehaviour: Misbehaviour): Case {
  return { id, misbehaviour, outcome: "delivered", status: 200 };
}

const CASES: readonly Case[] = [
  exception("garbage", "bad-response", /^Cannot read the answer of 127\.0\.0\.1:\d+: not HTTP\/1\.1$/, {
    on: (socket) => socket.write("220 mail.example.com ESMTP\r\n"),
  }),
  exception("long-headers", "bad-response", /headers too long$/, {
    on: (socket) => socket.write(`${OK}X-Long: ${"x".repeat(200_000)}\r\n\r\n`),
  }),
  exception("two-lengths", "bad-response", /: two different Content-Length headers$/, {
    on: (socket) => socket.write(`${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!`),
  }),
  exception("switches", "bad-response", /: it switches protocols \(101\) without a request for it$/, {
    on: (socket) => socket.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
  }),
  delivered("bare-lf", answer("HTTP/1.1 200 OK\nContent-Length: 2\n\n", "ok")),
  delivered(
    "many-interim",
    answer("HTTP/1.1 103 Hint\r\n\r\n".repeat(500), `${OK}Content-Length: 0\r\n\r\n`),
  ),
  exception("hang", "timeout", /^No complete answer from 127\.0\.0\.1:\d+ within 1500 ms$/, {
    on: () => undefined,
  }),
  exception("reset", "reset", /^Connection to 127\.0\.0\.1:\d+ broke before the answer was complete$/, {
    on: (socket) => socket.resetAndDestroy(),
  }),
  exception("end", "reset", /broke before the answer was complete$/, { on: (socket) => socket.end() }),
  exception("cut-off", "reset", /broke before the answer was complete$/, {
    on: (socket) => socket.end(`${OK}Content-Length: 100\r\n\r\nonly this`),
  }),
  exception(
    "stall",
    "timeout",
    /^No complete answer/,
    answer(`${OK}Content-Length: 100\r\n\r\n`, "only this"),
  ),
  exception("stalled-chunk", "timeout", /^No complete answer/, {
    on: (socket) => socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`),
  }),
  exception("trickle", "timeout", /^No complete answer/, {
    on(socket) {
      socket.write(`${OK}Content-Length: 1000\r\n\r\n`);
      const timer = setInterval(() => socket.write("."), 100);
      socket.once("close", () => clearInterval(timer));
    },
  }),
  exception("refused", "connect", /^Cannot reach 127\.0\.0\.1:\d+: connection refused$/, {
    url: async () => `http://127.0.0.1:${await freePort()}/`,
  }),
  exception("unknown-host", "dns", /^Cannot reach no-such-host\.invalid:80: name/, {
    url: async () => "http://no-such-host.invalid/",
  }),
  {
    id: "redirect",
    misbehaviour: {
      on: (socket) =>
        socket.write(`HTTP/1.1 302 Found\r\nLocation: ${target.url.href}\r\nContent-Length: 0\r\n\r\n`),
    },
    outcome: "rejected",
    status: 302,
    error: /^Callback answered 302$/,
  },
  {
    id: "redirect-308",
    misbehaviour: {
      on: (socket) =>
        socket.write(`HTTP/1.1 308 No\r\nLocation: ${target.url.href}\r\nContent-Length: 0\r\n\r\n`),
    },
    outcome: "rejected",
    status: 308,
    error: /^Callback answered 308$/,
  },
  {
    id: "stalled-404",
    misbehaviour: answer("HTTP/1.1 404 No\r\nContent-Length: 100\r\n\r\n", "x"),
    outcome: "rejected",
    status: 404,
    error: /^Callback answered 404(?:: x+…?)?$/,
  },
  delivered("endless", flood(OK)),
  {
    id: "endless-500",
    misbehaviour: flood("HTTP/1.1 500 No\r\n"),
    outcome: "server-error",
    status: 500,
    error: /^Callback answered 500: x+…$/,
  },
  delivered(
    "gzip",
    answer(`${OK}Content-Encoding: gzip\r\nContent-Length: ${gzipSync(HUGE).length}\r\n\r\n`, gzipSync(HUGE)),
  ),
  delivered("no-gzip", answer(`${OK}Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n`, "plain")),
  delivered("no-content", answer("HTTP/1.1 204 No Content\r\n\r\n")),
];

function toConfig(nats: NatsServer, urls: ReadonlyMap<string, string>): Record<string, unknown> {
  const http = (readTimeout: number) => ({ readTimeout, maxConcurrentConnections: 2 });
  const isKept = { interruptConsumptionOnServerError: false, interruptConsumptionOnException: false };
  const source = { name: "bad", type: "jetstream", consumer: { stream: "BAD", ackWaitSeconds: 5 } };
  const letters = { stream: "DLQ", subject: "dlq", create: true };
  return {
    nats: { servers: [nats.url] },
    endpoints: [source, { name: "letters", type: "jetstream", producer: letters }],
    entrypoints: Object.entries(READ_TIMEOUTS_MS).flatMap(([name, timeoutMs]) => {
      const configuration = { http: http(timeoutMs) };
      const dlq = { endpoint: "letters" };
      return [
        { type: "webhook", id: name, endpoint: "bad", dlq, configuration: { ...configuration, ...isKept } },
        { type: "webhook", id: `${name}-strict`, endpoint: "bad", configuration },
      ];
    }),
    subscriptions: CASES.flatMap(({ id, cause }) => {
      const configuration = { channel: `bad.${id}`, callbackUrl: urls.get(id) };
      const stalls = id.startsWith("stalled") ? "slow" : "patient";
      const entrypointId = cause === "timeout" ? "quick" : stalls;
      return [
        { id, configuration: { ...configuration, entrypointId } },
        { id: `${id}-strict`, configuration: { ...configuration, entrypointId: `${entrypointId}-strict` } },
      ];
    }),
  };
}

let stack: AsyncDisposableStack;
let manager: JetStreamManager;
let relay: RelayProcess;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  target = stack.use(await startReceiver());
  const urls = new Map<string, string>();
  for (const { id, misbehaviour } of CASES) {
    if ("url" in misbehaviour) {
      urls.set(id, await misbehaviour.url());
      continue;
    }
    const receiver = await startTcpReceiver((socket) => {
      socket.on("data", (chunk) => {
        if (chunk.includes(`bad.${id}`)) misbehaviour.on(socket);
      });
    });
    urls.set(id, stack.use(receiver).url.href);
  }
  const client = await nats.connect();
  manager = await jetstreamManager(client);
  await manager.streams.add({ name: "BAD", subjects: ["bad.*"] });
  const js = jetstream(client);
  for (const { id } of CASES) {
    for (let n = 1; n <= MESSAGES; n += 1) await js.publish(`bad.${id}`, `{"n":${n}}`);
  }
  relay = stack.use(await startRelay({ config: toConfig(nats, urls) }));
});
afterAll(() => stack.disposeAsync());

async function lettersOf(id: string): Promise<StoredMsg[]> {
  const { state } = await manager.streams.info("DLQ", { subjects_filter: `dlq.${id}.BAD.*` });
  const subjects = Object.keys(state.subjects ?? {});
  const letters = await Promise.all(
    subjects.map((subject) => manager.streams.getMessage("DLQ", { last_by_subj: subject })),
  );
  return letters.filter((letter) => letter !== null);
}

async function isThrough(id: string): Promise<boolean> {
  const { num_ack_pending, num_pending } = await manager.consumers.info("BAD", `relay-${id}`);
  return num_ack_pending === 0 && num_pending === 0;
}

describe.each(CASES.map((row) => [row.id, row] as const))("%s", (id, row) => {
  test(`each attempt counts as ${row.outcome}, and each message is delivered or a letter`, async () => {
    await eventually(() => isThrough(id));
    expect(await readMetric(relay, "relay_attempts_total", { subscription: id })).toBe(MESSAGES);
    const counted = { subscription: id, outcome: row.outcome };
    expect(await readMetric(relay, "relay_attempts_total", counted)).toBe(MESSAGES);
    const isException = row.outcome === "exception";
    const exceptions = isException ? MESSAGES : 0;
    expect(await readMetric(relay, "relay_exceptions_total", { subscription: id })).toBe(exceptions);
    if (isException) {
      const cause = { subscription: id, cause: row.cause ?? "" };
      expect(await readMetric(relay, "relay_exceptions_total", cause)).toBe(MESSAGES);
    }
    const letters = await lettersOf(id);
    expect(letters).toHaveLength(row.outcome === "delivered" ? 0 : MESSAGES);
    for (const { header, data } of letters) {
      expect(header.get("Relay-Reason")).toBe(row.outcome);
      expect(header.get("Relay-Status")).toBe(String(row.status));
      expect(header.get("Relay-Error")).toMatch(row.error ?? /^$/);
      expect(header.get("Relay-Attempts")).toBe("1");
      expect(new TextDecoder().decode(data)).toMatch(/^\{"n":[1-4]\}$/);
    }
    expect(await isInState(relay, id, "running")).toBe(true);
  });

  test("without dead letters a failure interrupts, and every message stays in the stream", async () => {
    const strict = `${id}-strict`;
    if (row.outcome === "delivered") {
      await eventually(() => isThrough(strict));
      expect(await isInState(relay, strict, "running")).toBe(true);
      return;
    }
    await eventually(() => isInState(relay, strict, "failed"));
    expect(await isThrough(strict)).toBe(false);
    const { ack_floor } = await manager.consumers.info("BAD", `relay-${strict}`);
    expect(ack_floor.consumer_seq).toBe(0);
    const interruption = await eventually(() =>
      relay.logs.find(
        ({ message, subscription }) => message === "Subscription interrupted" && subscription === strict,
      ),
    );
    expect(String(interruption["cause"]).replace(/^Message \d+ of BAD \(bad\.[\w-]+\): /, "")).toMatch(
      row.error ?? /^$/,
    );
  });
});

test("a redirect is not followed: its target is not even connected to", () => {
  expect(target.connections).toBe(0);
});

test(`the relay's memory stays bounded: below ${MAX_RSS_KB} KB at its peak`, async () => {
  const status = await readFile(`/proc/${relay.pid}/status`, "utf8");
  const peakKb = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
  expect(peakKb).toBeGreaterThan(0);
  expect(peakKb).toBeLessThan(MAX_RSS_KB);
});

test("after all of that the relay lives, and has said nothing it could not foresee", async () => {
  expect((await fetch(`${await relay.url()}/livez`)).status).toBe(200);
  expect(relay.stderr()).toBe("");
  expect(relay.logs.filter(({ message }) => message === "Cannot process a message")).toEqual([]);
});
