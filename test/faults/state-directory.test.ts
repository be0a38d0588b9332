// A state directory that cannot be written when the relay starts: it delivers all the same, save under AT_MOST_ONCE, and uses
// the directory as soon as it can.

import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { type ConfigOptions, testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";
import { type ScriptedReceiver, startScriptedReceiver } from "../support/scripted-receiver.ts";

type Qos = NonNullable<ConfigOptions["qos"]>;

const WARNING = "Cannot write the journal: a crash now may cause duplicates";
/** Runs what follows where that directory is read-only. */
const READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly receiver: ScriptedReceiver;
  readonly state: string;
  /** With a state directory that is read-only. */
  start: (qos: Qos) => Promise<RelayProcess>;
  publish: (...names: readonly string[]) => Promise<void>;
}

async function setUp(): Promise<Setup> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const receiver = stack.use(await startScriptedReceiver());
  const { path: directory } = stack.use(await temporaryDirectory());
  const state = join(directory, ".relay");
  await mkdir(state);
  await addStream(await nats.connect());
  const owned = stack.move();
  return {
    nats,
    receiver,
    state,
    start: (qos) =>
      startRelay({
        config: testConfig({ natsUrl: nats.url, callbackUrl: `${receiver.url}/sub`, qos }),
        directory,
        wrapper: ["unshare", "-m", "sh", "-c", READ_ONLY, state],
      }),
    async publish(...names) {
      const js = jetstream(await nats.connect());
      for (const name of names) await js.publish("orders.x", JSON.stringify({ name }));
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function makeWritable({ pid }: RelayProcess, directory: string): void {
  const mount = ["mount", "-o", "remount,bind,rw", directory];
  expect(Bun.spawnSync(["nsenter", "-t", String(pid), "-m", ...mount]).exitCode).toBe(0);
}

async function readiness(relay: RelayProcess): Promise<{ status: number; text: string }> {
  const response = await fetch(`${await relay.url()}/readyz`);
  return { status: response.status, text: await response.text() };
}

test.each([["AUTO"], ["AT_LEAST_ONCE"], ["NONE"]] as const)(
  "%s: a relay starts and delivers without a state directory that can be written, and uses it once it can",
  async (qos) => {
    await using setup = await setUp();
    await using relay = await setup.start(qos);
    await relay.logged("The relay runs without its control socket");
    await relay.logged("Consuming");
    await setup.publish("1", "2", "3");
    await eventually(() => setup.receiver.requests.length === 3);
    await eventually(async () => (await readiness(relay)).status === 200);
    expect(relay.logs.filter(({ message }) => message === WARNING)).toHaveLength(1);
    makeWritable(relay, setup.state);
    await relay.logged("The journal can be written again");
    await relay.logged("The control socket is open");
    expect((await stat(join(setup.state, "relay.sock"))).isSocket()).toBe(true);
    expect(await Bun.file(join(setup.state, "journal", "sub")).text()).toContain("\n3 ");
    relay.signal("SIGTERM");
    expect(await relay.exited).toBe(0);
    expect(setup.receiver.names("/sub")).toEqual(["1", "2", "3"]);
  },
  120_000,
);

test("AT_MOST_ONCE: a relay sends nothing without a journal, says why, and starts once it can write one", async () => {
  await using setup = await setUp();
  await using relay = await setup.start("AT_MOST_ONCE");
  await setup.publish("1", "2");
  const { text } = await eventually(async () => {
    const seen = await readiness(relay);
    return seen.status === 503 && seen.text.includes("journal") && seen;
  });
  expect(text).toContain("Subscription sub: Cannot open the journal: EROFS: read-only file system");
  makeWritable(relay, setup.state);
  await eventually(() => setup.receiver.requests.length === 2);
  await eventually(async () => (await readiness(relay)).status === 200);
  expect(relay.logs.filter(({ message }) => message === "Subscription waits")).toHaveLength(1);
}, 120_000);

test("AT_MOST_ONCE: a relay waits while the disk of its state directory is full, and starts once there is room", async () => {
  await using setup = await setUp();
  const full = 'mount -t tmpfs -o size=1m none "$0" && dd if=/dev/zero of="$0/other" bs=4k; exec "$@"';
  const callbackUrl = `${setup.receiver.url}/sub`;
  await using relay = await startRelay({
    config: testConfig({ natsUrl: setup.nats.url, callbackUrl, qos: "AT_MOST_ONCE" }),
    directory: dirname(setup.state),
    wrapper: ["unshare", "-m", "sh", "-c", full, setup.state],
  });
  await setup.publish("1", "2");
  await eventually(async () => (await readiness(relay)).text.includes("Cannot open the journal: ENOSPC"));
  expect(setup.receiver.requests).toEqual([]);
  await rm(`/proc/${relay.pid}/root${setup.state}/other`);
  await eventually(() => setup.receiver.requests.length === 2);
  expect(setup.receiver.names("/sub")).toEqual(["1", "2"]);
}, 120_000);

test("AUTO: a relay starts and delivers where the state directory cannot be made", async () => {
  await using setup = await setUp();
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "file"), "");
  const more = { state: { directory: "file/state" } };
  const callbackUrl = `${setup.receiver.url}/sub`;
  const config = testConfig({ natsUrl: setup.nats.url, callbackUrl, more });
  await using relay = await startRelay({ config, directory: directory.path });
  await setup.publish("1");
  await eventually(() => setup.receiver.requests.length === 1);
  await eventually(async () => (await readiness(relay)).status === 200);
}, 120_000);
