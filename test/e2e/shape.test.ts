// The built binary selects and shapes: one relay, one stream, and a subscription for each recipe of the README.

import { jetstream } from "@nats-io/jetstream";
import { HTTP } from "cloudevents";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { headerOf, type ReceivedRequest, startReceiver } from "../support/receiver.ts";
import { runRelay, startRelay } from "../support/relay.ts";

const ORDERS = [
  { id: "a", amount: 99, customer: "Ann" },
  { id: "b", amount: 101, customer: "Böb" },
  { id: "../c", amount: 500, customer: "Cyd" },
];

async function setUp() {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNatsServer());
  const client = await nats.connect();
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  const receiver = stack.use(await startReceiver());
  const base = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    hasDeadLetters: true,
    qos: "AT_LEAST_ONCE",
  });
  const one = (id: string, configuration: object) => ({
    id,
    metadata: { room: "kitchen" },
    configuration: {
      entrypointId: "webhook",
      callbackUrl: new URL(`/${id}?key=1`, receiver.url).href,
      ...configuration,
    },
  });
  const config = {
    ...base,
    server: { listen: "127.0.0.1:0" },
    subscriptions: [
      one("chat", {
        transform: {
          body: '{ "text": "Order " & body.id & " in the " & metadata.room & " of " & $substring(?, 0, 1)(body.customer) }',
        },
      }),
      one("device", {
        transform: { path: '["devices", body.id]', method: '"PUT"', query: '{ "n": body.amount }' },
      }),
      one("large", { filter: "body.amount > 100 and $contains(body.customer, /^[A-Z]/)" }),
      one("knative", { format: "cloudevents-binary" }),
      one("broken", { transform: { headers: [{ name: "X-Customer", value: '"a\\r\\n" & body.id' }] } }),
    ],
  };
  const relay = stack.use(await startRelay({ config }));
  const owned = stack.move();
  return { client, receiver, relay, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

test("messages become the requests that their subscriptions ask for, or dead letters that say why not", async () => {
  await using setup = await setUp();
  const { client, receiver, relay } = setup;
  const url = await relay.url();
  for (const order of ORDERS) await jetstream(client).publish("orders.new", JSON.stringify(order));
  const of = (id: string) => receiver.requests.filter(({ path }) => path.startsWith(`/${id}`));
  const bodies = (id: string) => of(id).map(({ body }) => body.toString());
  const first = (id: string) => of(id)[0] as ReceivedRequest;
  await eventually(() => ["chat", "knative"].every((id) => of(id).length === 3) && of("large").length === 2);
  await eventually(() => of("device").length === 2);
  expect(bodies("chat")).toEqual(
    ["Order a in the kitchen of A", "Order b in the kitchen of B", "Order ../c in the kitchen of C"].map(
      (text) => JSON.stringify({ text }),
    ),
  );
  expect(of("device").map(({ method, path }) => `${method} ${path}`)).toEqual([
    "PUT /device/devices/a?key=1&n=99",
    "PUT /device/devices/b?key=1&n=101",
  ]);
  expect(bodies("large")).toEqual(ORDERS.slice(1).map((order) => JSON.stringify(order)));
  const { headers, body } = first("knative");
  const event = HTTP.toEvent({
    headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])),
    body: body.toString(),
  });
  expect(event).toMatchObject({ type: "orders.new", source: "/ORDERS", data: ORDERS[0] });
  expect(headerOf(first("knative"), "ce-id")).toBe(headerOf(first("knative"), "webhook-id"));
  const api = await openApi(url);
  await eventually(
    async () => (await api("GET", "/api/dead-letters?reason=expression")).body.items.length === 4,
  );
  const errors = (await api("GET", "/api/dead-letters?reason=expression")).body.items.map(
    (item: { error: string }) => item.error,
  );
  expect(new Set(errors)).toEqual(
    new Set(["header X-Customer: it has a line break", 'path: the segment "../c" leads out of the path']),
  );
  const metrics = await (await fetch(new URL("/metrics", url))).text();
  expect(metrics).toContain('relay_messages_total{subscription="large",ending="filtered"} 1');
  expect(of("broken")).toEqual([]);
  const dryRun = async (id: string, body: object) =>
    (await api("POST", `/api/subscriptions/${id}/test`, { body: { dryRun: true, ...body } })).body;
  expect(await dryRun("device", { sequence: 2 })).toMatchObject({
    result: "request",
    message: {
      sequence: 2,
      subject: "orders.new",
      webhookId: headerOf(of("large")[0] as ReceivedRequest, "webhook-id"),
    },
    request: {
      method: "PUT",
      url: new URL("/device/devices/b?n=101", receiver.url).href,
      body: JSON.stringify(ORDERS[1]),
    },
  });
  expect(await dryRun("large", { body: '{"amount":1}' })).toMatchObject({
    result: "filtered",
    request: null,
  });
  expect(await dryRun("broken", {})).toMatchObject({
    result: "failed",
    error: "header X-Customer: it has a line break",
  });
  expect((await dryRun("large", { sequence: 99 })).errors[0].path).toBe("sequence");
  expect((await dryRun("large", { sequence: 1, body: "x" })).status).toBe(422);
  const cli = await runRelay(
    [
      "subscriptions",
      "test",
      "knative",
      "--dry-run",
      "--subject",
      "orders.x",
      "--header",
      "X-A: b",
      "--url",
      url,
    ],
    {},
  );
  expect(cli.stdout).toContain("> ce-type: orders.x");
  expect(cli.stdout).toContain("> X-A: b");
  expect(cli.exitCode).toBe(0);
  expect(of("device").length + of("large").length).toBe(4);
});
