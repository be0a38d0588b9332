// Commands to one of several relays, close together, over a long way, and while NATS is away: what is answered is what counts.

import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Api, openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { type Link, startLink } from "../support/link.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { type RelayProcess, startRelay, temporaryDirectory } from "../support/relay.ts";

type Json = Readonly<Record<string, unknown>>;

interface Host {
  readonly relay: RelayProcess;
  readonly api: Api;
  readonly link: Link;
  readonly directory: string;
}

interface Setup extends AsyncDisposable {
  readonly nats: NatsServer;
  readonly start: (directory?: string) => Promise<Host>;
}

async function setUp(): Promise<Setup> {
  await using owned = new AsyncDisposableStack();
  const nats = owned.use(await startNatsServer());
  await addStream(await nats.connect());
  const receiver = owned.use(await startReceiver());
  const moved = owned.move();
  return {
    nats,
    async start(directory) {
      const home = directory ?? moved.use(await temporaryDirectory()).path;
      const link = moved.use(await startLink(nats.port));
      const config = testConfig({ natsUrl: link.url, callbackUrl: receiver.url.href });
      const relay = moved.use(await startRelay({ config, directory: home }));
      return { relay, api: await openApi(await relay.url()), link, directory: home };
    },
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}

const command = ({ api }: Host, name: string) => api("POST", `/api/subscriptions/sub/${name}`);
const show = async ({ api }: Host): Promise<Json> =>
  (await api("GET", "/api/subscriptions/sub")).body as Json;

async function isShown(host: Host, wanted: Json): Promise<void> {
  const isSo = async () => {
    expect(await show(host)).toMatchObject(wanted);
    return true;
  };
  await eventually(isSo, { withinMs: 10_000, what: JSON.stringify(wanted) });
}

test.each([
  ["pause", "resume", { status: "PAUSED" }, { status: "ACCEPTED" }],
  ["stop", "start", { consumerStatus: "STOPPED" }, { consumerStatus: "STARTED" }],
] as const)(
  "%s at one relay and %s at the other at once: the second counts",
  async (first, second, held, free) => {
    await using setup = await setUp();
    const [one, other] = [await setup.start(), await setup.start()];
    for (const host of [one, other]) await isShown(host, { state: "running" });
    for (let round = 0; round < 20; round += 1) {
      const [here, there] = round % 2 === 0 ? [one, other] : [other, one];
      const begun = await command(here, first);
      expect([begun.status, begun.body]).toMatchObject([200, { ...held, notStored: null }]);
      const ended = await command(there, second);
      expect([ended.status, ended.body]).toMatchObject([200, { ...free, notStored: null }]);
      for (const host of [one, other]) await isShown(host, { ...free, state: "running" });
    }
  },
  120_000,
);

test("a command is answered with all that is stored, also what the other relay has just been told", async () => {
  await using setup = await setUp();
  const [one, other] = [await setup.start(), await setup.start()];
  for (const host of [one, other]) await isShown(host, { state: "running" });
  for (let round = 0; round < 20; round += 1) {
    await command(one, "stop");
    const paused = await command(other, "pause");
    expect(paused.body).toMatchObject({ status: "PAUSED", consumerStatus: "STOPPED" });
    await command(other, "start");
    const resumed = await command(one, "resume");
    expect(resumed.body).toMatchObject({ status: "ACCEPTED", consumerStatus: "STARTED" });
  }
}, 120_000);

test("with a server 3 s away a command is answered within 10 s, with what is stored, and the next one elsewhere counts", async () => {
  await using setup = await setUp();
  const [one, other] = await Promise.all([setup.start(), setup.start()]);
  for (const host of [one, other]) await isShown(host, { state: "running" });
  for (const host of [one, other]) host.link.lengthen(1500);
  const startedAt = performance.now();
  const paused = await command(one, "pause");
  expect([paused.status, paused.body.status]).toEqual([200, "PAUSED"]);
  // Five more seconds for a busy machine.
  expect(performance.now() - startedAt).toBeLessThan(15_000);
  const resumed = await command(other, "resume");
  expect([resumed.status, resumed.body.status]).toEqual([200, "ACCEPTED"]);
  for (const host of [one, other]) await isShown(host, { status: "ACCEPTED" });
}, 120_000);

test("a command without NATS says that it is not stored, survives a kill on disk, and is stored when NATS is back", async () => {
  await using setup = await setUp();
  const { nats, start } = setup;
  const first = await start();
  await isShown(first, { state: "running" });
  await nats.kill();
  await eventually(async () => (await first.api("GET", "/readyz")).status === 503);
  const paused = await command(first, "pause");
  expect([paused.status, paused.body]).toMatchObject([
    202,
    { status: "PAUSED", notStored: "not connected to NATS" },
  ]);
  first.relay.signal("SIGKILL");
  await first.relay.exited;

  const second = await start(first.directory);
  await isShown(second, { status: "PAUSED", notStored: "not connected to NATS" });
  await nats.restart();
  await isShown(second, { status: "PAUSED", state: "paused", notStored: null });
  const third = await start();
  await isShown(third, { status: "PAUSED", state: "paused" });
  const resumed = await command(third, "resume");
  expect(resumed.status).toBe(200);
  second.relay.signal("SIGTERM");
  await second.relay.exited;
  const again = await start(first.directory);
  await isShown(again, { status: "ACCEPTED", state: "running" });
}, 120_000);

test.each([
  ["pause", "resume", { status: "PAUSED" }, { status: "ACCEPTED" }],
  ["stop", "start", { consumerStatus: "STOPPED" }, { consumerStatus: "STARTED" }],
] as const)(
  "after %s, a %s that comes before the relay knows what is stored counts",
  async (first, second, held, free) => {
    await using setup = await setUp();
    const { nats, start } = setup;
    const before = await start();
    await isShown(before, { state: "running" });
    expect((await command(before, first)).body).toMatchObject(held);
    before.relay.signal("SIGKILL");
    await before.relay.exited;
    await nats.kill();
    const after = await start(before.directory);
    const ended = await command(after, second);
    expect([ended.status, ended.body]).toMatchObject([202, free]);
    await nats.restart();
    await isShown(after, { ...free, state: "running", notStored: null });
    const other = await start();
    await isShown(other, { ...free, state: "running" });
  },
  120_000,
);

test("a command that seems to be obeyed already, to a relay that has lost NATS, counts over what is stored meanwhile", async () => {
  await using setup = await setUp();
  const [cut, whole] = [await setup.start(), await setup.start()];
  for (const host of [cut, whole]) await isShown(host, { state: "running" });
  cut.link.cut();
  await eventually(async () => (await cut.api("GET", "/readyz")).status === 503, { withinMs: 15_000 });
  expect((await command(whole, "pause")).status).toBe(200);
  // The clocks of two hosts are compared as exactly as a request to the server is quick.
  const later = performance.now() + 500;
  await eventually(() => performance.now() > later);
  const resumed = await command(cut, "resume");
  expect([resumed.status, resumed.body.status]).toEqual([202, "ACCEPTED"]);
  cut.link.mend();
  for (const host of [cut, whole]) await isShown(host, { status: "ACCEPTED", state: "running" });
}, 120_000);

test("of a command that waits and one that was stored meanwhile the later one counts, in both relays", async () => {
  await using setup = await setUp();
  const [cut, whole] = [await setup.start(), await setup.start()];
  for (const host of [cut, whole]) await isShown(host, { state: "running" });
  const cutOff = async () => {
    cut.link.cut();
    await eventually(async () => (await cut.api("GET", "/readyz")).status === 503);
  };
  await cutOff();
  expect((await command(cut, "pause")).status).toBe(202);
  // What is stored now is later.
  expect((await command(whole, "pause")).status).toBe(200);
  expect((await command(whole, "resume")).status).toBe(200);
  cut.link.mend();
  for (const host of [cut, whole])
    await isShown(host, { status: "ACCEPTED", state: "running", notStored: null });
  await cut.relay.logged("A command that waited for NATS was dropped");
  await cutOff();
  expect((await command(whole, "pause")).status).toBe(200);
  // It has not heard of that; what it is told now is later.
  expect((await command(cut, "stop")).status).toBe(202);
  expect((await command(cut, "pause")).status).toBe(202);
  expect((await command(cut, "resume")).status).toBe(202);
  cut.link.mend();
  for (const host of [cut, whole])
    await isShown(host, { status: "ACCEPTED", consumerStatus: "STOPPED", state: "stopped", notStored: null });
}, 120_000);

test("where the state directory cannot be written, a command without NATS says that a restart forgets it", async () => {
  await using setup = await setUp();
  const host = await setup.start();
  await isShown(host, { state: "running" });
  await mkdir(join(host.directory, ".relay", "commands.json.new"), { recursive: true });
  await setup.nats.kill();
  await eventually(async () => (await host.api("GET", "/readyz")).status === 503);
  const { status, body } = await command(host, "pause");
  expect([status, body.status]).toEqual([202, "PAUSED"]);
  expect(body.notStored).toStartWith("not connected to NATS; a restart of this relay forgets it: EISDIR");
}, 120_000);

test("a bucket that takes nothing any more: a command is refused, and changes nothing; nothing is repeated for ever", async () => {
  await using setup = await setUp();
  const host = await setup.start();
  await isShown(host, { state: "running" });
  const { streams } = await jetstreamManager(await setup.nats.connect());
  await streams.update("KV_relay", { sealed: true } as Partial<StreamConfig>);
  const { status, body } = await command(host, "pause");
  expect([status, body.detail]).toEqual([409, "Cannot pause sub: invalid operation on sealed stream"]);
  await isShown(host, { status: "ACCEPTED", state: "running", notStored: null });
}, 120_000);
