// A callback that moves, under load and under a storm of reloads: each message comes as often as it should, in its order.

import { jetstream } from "@nats-io/jetstream";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { headerOf, type Receiver, type ReceivedRequest, startReceiver } from "../support/receiver.ts";
import { changesOf, type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;

const RATE_PER_SECOND = 1000;
const MAX_AHEAD = 300;
const CHANGES = 6;
const EVERY_QOS = ["AUTO", "NONE", "AT_LEAST_ONCE", "AT_MOST_ONCE"] as const;

let stack: AsyncDisposableStack;
let nats: NatsServer;
let streams = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(await startNatsServer());
});
afterAll(() => stack.disposeAsync());

/** What of the callback changes; the secret stands in a file of its own. */
interface Callback {
  readonly path: string;
  readonly header: string;
  readonly secret: string;
}

const FIRST: Callback = { path: "/p0", header: "h0", secret: "secret-0" };

interface Wanted extends Callback {
  readonly ackWaitSeconds?: number;
}

interface Setup extends AsyncDisposable {
  readonly relay: RelayProcess;
  readonly receiver: Receiver;
  /** Writes the files as they are to be; nobody is told. */
  write: (wanted: Wanted) => Promise<void>;
  /** At `RATE_PER_SECOND`, and at most `MAX_AHEAD` ahead of what was received; the bodies are 1, 2, … */
  publishWhile: (isWanted: (n: number) => boolean) => Promise<void>;
}

async function setUp(qos: Qos, options: Partial<ConfigOptions> = {}): Promise<Setup> {
  await using owned = new AsyncDisposableStack();
  const receiver = owned.use(await startReceiver());
  const directory = owned.use(await temporaryDirectory()).path;
  streams += 1;
  const stream = `RELOAD_${streams}`;
  const subject = `reload-${streams}`;
  const client = await nats.connect();
  await addStream(client, { name: stream, subjects: [subject] });
  const secretFile = join(directory, "secret");
  const toConfig = ({ path, header, ackWaitSeconds = 5 }: Wanted) =>
    testConfig({
      ...options,
      natsUrl: nats.url,
      callbackUrl: new URL(path, receiver.url).href,
      qos,
      consumer: { stream, ackWaitSeconds },
      subscription: {
        headers: [{ name: "X-Version", value: header }],
        auth: { type: "token", token: { value: { file: secretFile } } },
        ...options.subscription,
      },
      more: {
        logs: { level: "info" },
        server: { listen: "127.0.0.1:0" },
        state: { bucket: stream },
        ...options.more,
      },
    });

  async function write(wanted: Wanted): Promise<void> {
    await writeFile(secretFile, wanted.secret);
    const path = join(directory, "relay.config.json");
    await writeFile(`${path}.new`, JSON.stringify(toConfig(wanted)));
    await rename(`${path}.new`, path);
  }

  await writeFile(secretFile, FIRST.secret);
  const relay = owned.use(await startRelay({ config: toConfig(FIRST), directory }));
  await relay.logged("Consuming");
  const moved = owned.move();
  return {
    relay,
    receiver,
    write,
    async publishWhile(isWanted) {
      const js = jetstream(client);
      const startedAt = performance.now();
      for (let n = 1; isWanted(n); n += 1) {
        const aheadMs = (n / RATE_PER_SECOND) * 1000 - (performance.now() - startedAt);
        if (aheadMs > 20) await Bun.sleep(aheadMs);
        if (n % 100 === 0) await js.publish(subject, String(n));
        else client.publish(subject, String(n));
        if (n > receiver.requests.length + MAX_AHEAD)
          await eventually(() => n <= receiver.requests.length + MAX_AHEAD);
      }
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

async function reload(relay: RelayProcess): Promise<readonly string[]> {
  const response = await fetch(`${await relay.url()}/api/reload`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  const answer = (await response.json()) as { changes?: readonly string[]; detail?: string };
  if (answer.changes === undefined) throw new Error(`Refused: ${answer.detail}`);
  return answer.changes;
}

function numbersOf(requests: readonly ReceivedRequest[]): number[] {
  return requests.map(({ body }) => Number(body.toString()));
}

function toCallback(change: number): Callback {
  // One of the three at a time.
  const [path, header, secret] = [0, 1, 2].map((part) => Math.ceil((change - part) / 3));
  return { path: `/p${path}`, header: `h${header}`, secret: `secret-${secret}` };
}

function isOf(request: ReceivedRequest, { path, header, secret }: Callback): boolean {
  return (
    request.path === path &&
    headerOf(request, "x-version") === header &&
    headerOf(request, "authorization") === `Bearer ${secret}`
  );
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** In order, where the quality of service promises one. */
function expectEachOnce(
  requests: readonly ReceivedRequest[],
  { qos, count }: { qos: Qos; count: number },
): void {
  const numbers = numbersOf(requests);
  const isInOrder = qos === "AT_LEAST_ONCE" || qos === "AT_MOST_ONCE";
  expect(isInOrder ? numbers : numbers.toSorted((a, b) => a - b)).toEqual(range(count));
}

test.each(EVERY_QOS)(
  `%s: the callback changes ${CHANGES} times under ${RATE_PER_SECOND} messages a second: each comes once`,
  async (qos) => {
    await using setup = await setUp(qos);
    const { relay, receiver, write, publishWhile } = setup;
    let count = Number.POSITIVE_INFINITY;
    const publishing = publishWhile((n) => n <= count);
    for (let change = 1; change <= CHANGES; change += 1) {
      await eventually(() => receiver.requests.length >= 150 * change, { withinMs: 15_000 });
      await write(toCallback(change));
      await reload(relay);
      const from = receiver.requests.length;
      await eventually(() =>
        receiver.requests.slice(from).some((request) => isOf(request, toCallback(change))),
      );
    }
    count = receiver.requests.length + MAX_AHEAD + 100;
    await publishing;
    await eventually(() => receiver.requests.length >= count, { withinMs: 15_000 });
    expectEachOnce(receiver.requests, { qos, count });
    const last = receiver.requests.slice(-100);
    expect(last.filter((request) => !isOf(request, toCallback(CHANGES)))).toEqual([]);
    const changes = changesOf(relay).flat();
    expect(changes).toEqual(range(CHANGES).map(() => "Subscription sub changed without interruption"));
    expect(relay.logs.filter(({ message }) => message === "Consuming")).toHaveLength(1);
    expect(relay.logs.filter(({ level }) => level === "error")).toEqual([]);
  },
  120_000,
);

test.each(EVERY_QOS)(
  "%s: what is consumed changes again and again, and the subscription is started anew: each comes once",
  async (qos) => {
    await using setup = await setUp(qos);
    const { relay, receiver, write, publishWhile } = setup;
    const count = 600;
    const consuming = () => relay.logs.filter(({ message }) => message === "Consuming").length;
    const publishing = publishWhile((n) => n <= count);
    for (let change = 1; change <= 5; change += 1) {
      const target = (count * change) / 7;
      await eventually(() => receiver.requests.length >= target, { withinMs: 15_000 });
      await write({ ...FIRST, ackWaitSeconds: 5 + (change % 2) });
      await reload(relay);
      await eventually(() => consuming() === change + 1);
    }
    await publishing;
    await eventually(() => receiver.requests.length >= count, { withinMs: 15_000 });
    expectEachOnce(receiver.requests, { qos, count });
    const changes = changesOf(relay).flat();
    expect(changes).toEqual(range(5).map(() => "Subscription sub changed and restarted"));
    expect(consuming()).toBe(6);
  },
  120_000,
);

test.concurrent.each(["AUTO", "NONE", "AT_LEAST_ONCE"] as const)(
  "%s: a message that waits for a retry stays where it is, keeps count, and goes to the new callback",
  async (qos) => {
    const delaySeconds = 2; // More than a reload takes.
    const retry = {
      retryOption: "Retry On Fail",
      maxAttempts: 2,
      initialDelaySeconds: delaySeconds,
      maxDelaySeconds: delaySeconds,
    };
    await using setup = await setUp(qos, {
      hasDeadLetters: true,
      entrypoint: { interruptConsumptionOnServerError: false },
      subscription: { retry },
    });
    const { relay, receiver, write, publishWhile } = setup;
    receiver.respond(({ body }) => (body.toString() === "1" ? 500 : 200));
    const attempts = () => receiver.requests.filter(({ body }) => body.toString() === "1");
    await publishWhile((n) => n <= 1);
    for (let change = 1; change <= 2; change += 1) {
      await eventually(() => attempts().length === change);
      await write({ ...FIRST, path: `/p${change}` });
      await reload(relay);
      expect(attempts()).toHaveLength(change);
    }
    await eventually(async () => (await readMetric(relay, "relay_dead_letters_total")) === 1);
    expect(attempts().map(({ path }) => path)).toEqual(["/p0", "/p1", "/p2"]);
    const times = attempts().map(({ receivedAt }) => receivedAt.getTime());
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThan(delaySeconds * 1000 - 50);
    const ids = attempts().map((request) => headerOf(request, "webhook-id"));
    expect(new Set(ids).size).toBe(1);
    expect(relay.logs.filter(({ message }) => message === "Consuming")).toHaveLength(1);
  },
  120_000,
);

test.each(["AUTO", "AT_LEAST_ONCE"] as const)(
  "%s: a storm of reloads by signal, by request and by file costs no message, and the last file is the one that runs",
  async (qos) => {
    await using setup = await setUp(qos);
    const { relay, receiver, write, publishWhile } = setup;
    const count = 600;
    const publishing = publishWhile((n) => n <= count);
    const answers: Promise<readonly string[]>[] = [];
    for (let change = 1; change <= 60; change += 1) {
      await write({ ...toCallback(change), ackWaitSeconds: 5 + (change % 2) });
      relay.signal("SIGHUP");
      answers.push(reload(relay), reload(relay));
      if (change % 10 === 0)
        await eventually(() => receiver.requests.length >= change * 8, { withinMs: 15_000 });
    }
    await Promise.all(answers);
    await publishing;
    await eventually(() => receiver.requests.length >= count, { withinMs: 15_000 });
    expectEachOnce(receiver.requests, { qos, count });
    await reload(relay);
    await publishWhile((n) => n <= 1);
    await eventually(() => receiver.requests.length > count);
    expect(isOf(receiver.requests[count] as ReceivedRequest, toCallback(60))).toBe(true);
    expect(relay.logs.filter(({ level }) => level === "error")).toEqual([]);
  },
  120_000,
);
