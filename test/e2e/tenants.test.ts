// What a tenant (a token with `relay:subscribe`) may not do: end its operator's pause, or read headers of the operator.

import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Api } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { headerOf, type Receiver, startReceiver } from "../support/receiver.ts";
import { type RelayProcess, runRelay, startRelay, temporaryDirectory } from "../support/relay.ts";
import { OPERATOR, startTenants, tenantOf } from "../support/tenants.ts";

const KEY_OF_THE_OPERATOR = "key-of-the-operator";

let stack: AsyncDisposableStack;
let relay: RelayProcess;
let home: string;
let callback: Receiver;
let operator: Api;
let shop: Api;
let bank: Api;
let ids = 0;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  await addStream(await nats.connect(), { name: "ORDERS", subjects: ["orders.>"] });
  callback = stack.use(await startReceiver());
  const tenants = stack.use(await startTenants());
  const base = tenants.config({
    natsUrl: nats.url,
    callbackUrl: callback.url.href,
    entrypoint: { headers: [{ name: "X-Key", value: KEY_OF_THE_OPERATOR }] },
    subscription: { channel: "orders.file" },
  });
  const [own] = base["entrypoints"] as [object];
  const sharing = { ...own, type: "webhook", id: "sharing", shareHeaders: true };
  home = stack.use(await temporaryDirectory()).path;
  const config = { ...base, entrypoints: [own, sharing] };
  relay = stack.use(await startRelay({ config, directory: home }));
  const url = await relay.url();
  const contextPaths = ["/webhook", "/sharing"];
  operator = await tenants.as(url, OPERATOR, { contextPaths });
  shop = await tenants.as(url, tenantOf("shop"), { contextPaths });
  bank = await tenants.as(url, tenantOf("bank"), { contextPaths });
  await eventually(async () => (await operator("GET", "/readyz")).status === 200);
});
afterAll(() => stack.disposeAsync());

const BELOW = "/webhook/subscriptions";

function newBody(more: object = {}) {
  ids += 1;
  const id = `made-${ids}`;
  const configuration = { entrypointId: "webhook", channel: `orders.${id}`, callbackUrl: callback.url.href };
  return { id, configuration, ...more };
}

async function made(api: Api, more: object = {}) {
  const body = newBody(more);
  const answer = await api("POST", BELOW, { body });
  expect(answer.status).toBe(201);
  return { body, path: `${BELOW}/${body.id}`, api: `/api/subscriptions/${body.id}` };
}

const statusAt = async (path: string) => (await operator("GET", path)).body.status;

test("a tenant neither pauses nor resumes, by whichever way, and what an operator paused stays so", async () => {
  const { body, path, api } = await made(shop);
  expect((await shop("POST", `${path}/pause`)).status).toBe(403);
  expect((await shop("PUT", path, { body: { ...body, status: "PAUSED" } })).status).toBe(403);
  const another = await shop("POST", BELOW, { body: { ...body, id: crypto.randomUUID(), status: "PAUSED" } });
  expect([another.status, another.body.detail]).toEqual([
    403,
    "It cannot be written so: a new one has the status ACCEPTED, and only operators choose another",
  ]);
  expect(await statusAt(api)).toBe("ACCEPTED");
  expect((await operator("POST", `${api}/pause`)).body.status).toBe("PAUSED");
  const refused = await shop("POST", `${path}/resume`);
  expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([
    403,
    'Bearer realm="relay", error="insufficient_scope", scope="relay:write"',
  ]);
  const resumed = await shop("PUT", path, { body: { ...body, status: "ACCEPTED" } });
  expect([resumed.status, resumed.body.detail]).toEqual([
    403,
    "It cannot be written so: its status is PAUSED, which only operators change",
  ]);
  for (const status of [undefined, "PAUSED", undefined]) {
    const changed = await shop("PUT", path, { body: { ...body, status, metadata: { was: `${status}` } } });
    expect([changed.status, changed.body.status]).toEqual([200, "PAUSED"]);
  }
  for (const verb of ["stop", "start"])
    expect((await shop("POST", `${path}/${verb}`)).body.status).toBe("PAUSED");
  expect(await statusAt(api)).toBe("PAUSED");
  expect((await operator("POST", `${api}/resume`)).body.status).toBe("ACCEPTED");
});

test.each([
  ["by command", undefined],
  ["in its definition", "PAUSED"],
])(
  "what an operator paused %s is paused again when its tenant deletes it and makes it again",
  async (_, status) => {
    const { body, path, api } = await made(operator, { application: "shop", status });
    expect((await operator("POST", `${api}/pause`)).status).toBe(200);
    for (let time = 0; time < 2; time += 1) {
      expect((await shop("DELETE", path)).status).toBe(204);
      const { status: _status, ...asBefore } = body as { status?: string };
      const again = await shop("POST", BELOW, { body: asBefore });
      expect([again.status, again.body.status]).toEqual([201, "PAUSED"]);
      await eventually(async () => (await operator("GET", api)).body.reason === "Paused");
    }
    const accepted = await shop("PUT", path, { body: { ...body, status: "ACCEPTED" } });
    expect(accepted.status).toBe(403);
    expect((await operator("POST", `${api}/resume`)).body.status).toBe("ACCEPTED");
    await eventually(async () => (await operator("GET", api)).body.state === "running");
    expect((await shop("DELETE", path)).status).toBe(204);
    const { status: _status, ...fresh } = body as { status?: string };
    expect((await shop("POST", BELOW, { body: fresh })).body.status).toBe("ACCEPTED");
  },
);

test("a tenant makes none paused, and an operator's own POST ends what was remembered", async () => {
  expect((await shop("POST", BELOW, { body: newBody({ status: "PAUSED" }) })).status).toBe(403);
  const { body, path, api } = await made(shop);
  await operator("POST", `${api}/pause`);
  expect((await shop("DELETE", path)).status).toBe(204);
  expect((await shop("POST", BELOW, { body: { ...body, status: "ACCEPTED" } })).status).toBe(403);
  const anew = await operator("POST", "/api/subscriptions", { body });
  expect([anew.status, anew.body.status]).toEqual([201, "ACCEPTED"]);
});

test("no status of another's subscription is told by what is refused", async () => {
  const { body, api } = await made(shop);
  await operator("POST", `${api}/pause`);
  for (const status of ["ACCEPTED", "PAUSED", undefined])
    expect((await bank("POST", BELOW, { body: { ...body, status } })).status).toBe(409);
});

test("an application is paused as a whole, with those that it makes meanwhile, and nobody else's", async () => {
  const before = await made(shop);
  const alone = await made(shop);
  const others = await made(bank);
  await operator("POST", `${alone.api}/pause`);
  const paused = await operator("POST", "/api/applications/shop/pause");
  expect([paused.status, paused.body]).toMatchObject([200, { application: "shop", status: "PAUSED" }]);
  for (const action of ["pause", "resume"])
    expect((await shop("POST", `/api/applications/shop/${action}`)).status).toBe(403);
  await eventually(async () => (await operator("GET", before.api)).body.state === "paused");
  const meanwhile = await made(shop);
  const shown = (await shop("GET", meanwhile.path)).body;
  expect([shown.status, shown.reason]).toEqual(["PAUSED", "Its application is paused"]);
  expect((await shop("DELETE", before.path)).status).toBe(204);
  expect((await shop("POST", BELOW, { body: before.body })).body.status).toBe("PAUSED");
  const single = await operator("POST", `${meanwhile.api}/resume`);
  expect([single.status, single.body.detail]).toEqual([
    409,
    `Cannot resume ${meanwhile.body.id}: its application is paused, resume that`,
  ]);
  expect(await statusAt(others.api)).toBe("ACCEPTED");
  const { items } = (await operator("GET", "/api/applications")).body;
  const statusOf = (name: string) =>
    items.find(({ application }: { application: string }) => application === name)?.status;
  expect([statusOf("shop"), statusOf("bank")]).toEqual(["PAUSED", "ACCEPTED"]);
  expect((await operator("POST", "/api/applications/shop/resume")).body.status).toBe("ACCEPTED");
  for (const { api } of [before, meanwhile])
    await eventually(async () => (await operator("GET", api)).body.state === "running");
  expect(await statusAt(alone.api)).toBe("PAUSED");
});

test("relay subscriptions pauses and resumes an application", async () => {
  const one = await made(bank);
  const run = (...args: readonly string[]) => runRelay(["subscriptions", ...args], { cwd: home });
  const paused = await run("pause", "--application", "bank", "--yes");
  expect([paused.exitCode, paused.stdout]).toEqual([
    0,
    expect.stringMatching(/^Application bank paused: \d+ subscriptions?\n$/u),
  ]);
  expect(await statusAt(one.api)).toBe("PAUSED");
  const single = await run("resume", one.body.id);
  expect([single.exitCode, single.stderr]).toEqual([1, expect.stringContaining("its application is paused")]);
  expect((await run("resume", "--application", "bank", "--yes")).stdout).toStartWith(
    "Application bank resumed",
  );
  for (const wrong of [
    ["pause"],
    ["pause", "a", "--application", "b"],
    ["resume", "--skip", "--application", "b"],
  ])
    expect((await run(...wrong)).exitCode).toBe(2);
});

test("an application of any name is paused before it has anything", async () => {
  const name = "a/b ü?#%2F";
  const path = `/api/applications/${encodeURIComponent(name)}`;
  expect((await operator("POST", `${path}/pause`)).body).toMatchObject({
    application: name,
    status: "PAUSED",
    subscriptions: 0,
  });
  const { body } = await operator("POST", "/api/subscriptions", { body: newBody({ application: name }) });
  expect([body.application, body.status]).toEqual([name, "PAUSED"]);
  expect((await operator("POST", `${path}/resume`)).body).toMatchObject({
    status: "ACCEPTED",
    subscriptions: 1,
  });
});

test("a POST needs no id, and below a context path no entrypoint", async () => {
  const configuration = { channel: "orders.short", callbackUrl: callback.url.href };
  const short = await shop("POST", BELOW, { body: { configuration } });
  expect([short.status, short.body.entrypoint]).toEqual([201, "webhook"]);
  expect(short.headers.get("location")).toBe(`${BELOW}/${short.body.id}`);
  const other = await shop("POST", "/sharing/subscriptions", { body: { configuration } });
  expect([other.status, other.body.entrypoint]).toEqual([201, "sharing"]);
  expect(other.body.id).not.toBe(short.body.id);
  expect((await operator("POST", "/api/subscriptions", { body: { configuration } })).status).toBe(422);
});

test("headers of an entrypoint go to no callback of a tenant, unless the entrypoint shares them", async () => {
  const tell = async (path: string, id: string, url: string) => {
    const configuration = { channel: `orders.${id}`, callbackUrl: url };
    expect((await shop("POST", path, { body: { id, configuration } })).status).toBe(201);
    await eventually(async () => (await shop("GET", `${path}/${id}`)).body.state === "running");
    expect((await shop("POST", `${path}/${id}/test`, { body: "{}" })).body.outcome).toBe("delivered");
    const request = callback.requests.findLast(({ path: called }) => called.endsWith(`/${id}`));
    return request === undefined ? "not called" : headerOf(request, "x-key");
  };
  const at = (id: string) => new URL(`/${id}`, callback.url).href;
  expect(await tell(BELOW, "not-shared", at("not-shared"))).toBeUndefined();
  expect(await tell("/sharing/subscriptions", "shared", at("shared"))).toBe(KEY_OF_THE_OPERATOR);
  await operator("POST", "/api/subscriptions/sub/test", { body: "{}" });
  expect(callback.requests.some((request) => headerOf(request, "x-key") === KEY_OF_THE_OPERATOR)).toBe(true);
});
