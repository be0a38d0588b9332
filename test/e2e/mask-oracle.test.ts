// A mask tells nobody about secrets that are not theirs: whatever a tenant's callback repeats, only the tenant's own are hidden.

import { jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Api } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { addStream } from "../support/nats.ts";
import { type NatsServer, startNatsServer } from "../support/nats-server.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type LogLine, type RelayProcess, startRelay } from "../support/relay.ts";
import { OPERATOR, startTenants, tenantOf } from "../support/tenants.ts";

const NATS_PASSWORD = "nats-password-of-operator";
const STATE_KEY = Buffer.alloc(32, 7).toString("base64");
const OPERATORS = [
  NATS_PASSWORD,
  STATE_KEY,
  "token-of-a-subscription-of-the-file",
  "proxy-password-of-the-operator",
  "query-of-the-operator",
];
const BODY_LIMIT = 65_536;

let stack: AsyncDisposableStack;
let nats: NatsServer;
let client: NatsConnection;
/** Answers with the body of the request, and with its headers behind it. */
let echo: Receiver;
let relay: RelayProcess;
let operator: Api;
let tenant: Api;
let other: Api;

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  nats = stack.use(
    await startNatsServer({ configText: `authorization { user: "relay", password: "${NATS_PASSWORD}" }` }),
  );
  client = await nats.connect({ user: "relay", pass: NATS_PASSWORD });
  await addStream(client, { name: "ORDERS", subjects: ["orders.>"] });
  echo = stack.use(
    await startReceiver(({ body, headers }) => ({
      status: 200,
      body: `${body.toString()}${headers.map(([name, value]) => `\n${name}: ${value}`).join("")}`,
    })),
  );
  const tenants = stack.use(await startTenants());
  const base = tenants.config({
    natsUrl: nats.url,
    callbackUrl: `${echo.url.href}?key=query-of-the-operator`,
    entrypoint: {
      sampling: { type: "ALL" },
      logging: { enabled: true, response: { headers: true, payload: true } },
    },
    subscription: {
      channel: "orders.file",
      auth: { type: "token", token: { value: "token-of-a-subscription-of-the-file" } },
    },
    more: {
      nats: { servers: [nats.url], auth: { type: "user", username: "relay", password: NATS_PASSWORD } },
      state: { key: STATE_KEY },
      system: {
        proxy: { host: "127.0.0.1", port: 9, username: "relay", password: "proxy-password-of-the-operator" },
      },
    },
  });
  const [own] = base["subscriptions"] as [object];
  const config = { ...base, subscriptions: [{ ...own, application: "shop" }] };
  relay = stack.use(await startRelay({ config }));
  const url = await relay.url();
  [operator, tenant, other] = await Promise.all([
    tenants.as(url, OPERATOR),
    tenants.as(url, tenantOf("shop")),
    tenants.as(url, tenantOf("bank")),
  ]);
  await eventually(async () => (await operator("GET", "/readyz")).status === 200);
});
afterAll(() => stack.disposeAsync());

/** Made by API, with a secret of its own. */
async function subscribe(api: Api, id: string, more: object = {}): Promise<void> {
  const auth = { type: "token", token: { value: `token-of-${id}` } };
  const configuration = {
    entrypointId: "webhook",
    channel: `orders.${id}`,
    auth,
    callbackUrl: echo.url.href,
  };
  const body = { id, configuration: { ...configuration, ...more } };
  expect((await api("POST", "/webhook/subscriptions", { body })).status).toBe(201);
  await eventually(async () => (await api("GET", `/webhook/subscriptions/${id}`)).body.state === "running");
}

async function echoed(api: Api, id: string, body: string): Promise<{ body: string } | null> {
  const answer = await api("POST", `/webhook/subscriptions/${id}/test`, { body });
  expect(answer.status).toBe(200);
  return answer.body.response;
}

test("a callback that repeats guesses learns nothing: only the subscription's own secrets are hidden", async () => {
  await subscribe(other, "bank-secret");
  await subscribe(tenant, "guess");
  const guesses = [...OPERATORS, "token-of-bank-secret"];
  const text = JSON.stringify({ guesses, own: "token-of-guess" });
  const response = await echoed(tenant, "guess", text);
  expect(response?.body).toContain(JSON.stringify({ guesses, own: "***" }));
  expect(response?.body).not.toContain("token-of-guess");
});

test("no beginning of another's secret is hidden where an answer is cut, and each of an own one is", async () => {
  await subscribe(tenant, "cut");
  for (const secret of [NATS_PASSWORD, "token-of-cut"]) {
    for (const length of [1, 4, 8, 11]) {
      const beginning = secret.slice(0, length);
      const body = `"${"x".repeat(BODY_LIMIT - 1 - length)}${beginning}`;
      // A body of exactly the limit, and headers behind it that are cut off.
      const response = await echoed(tenant, "cut", body);
      const isOwn = secret === "token-of-cut";
      expect(response?.body.slice(-20)).toEndWith(isOwn ? "x***" : `x${beginning}`);
    }
  }
});

test("a definition is shown as it was given, but for its secrets: no text in it is masked", async () => {
  const metadata = {
    note: OPERATORS.join(" "),
    own: "token-of-defined",
    masked: "***",
    docs: "http://a/?b=c",
  };
  const auth = { type: "token", token: { value: "token-of-defined" } };
  const configuration = {
    entrypointId: "webhook",
    channel: "orders.defined",
    auth,
    callbackUrl: echo.url.href,
  };
  const body = { id: "defined", metadata, configuration };
  expect((await tenant("POST", "/webhook/subscriptions", { body })).status).toBe(201);
  const shown = (await tenant("GET", "/webhook/subscriptions/defined")).body.definition;
  expect(shown.metadata).toEqual(metadata);
  expect(shown.configuration.auth).toEqual({ type: "token", token: { value: "***" } });
});

test("names such as __proto__ are kept in metadata", async () => {
  const metadata: unknown = JSON.parse('{ "__proto__": "a", "constructor": "b", "plain": "c" }');
  const configuration = { entrypointId: "webhook", channel: "orders.names", callbackUrl: echo.url.href };
  const body = { id: "names", metadata, configuration };
  expect((await tenant("POST", "/webhook/subscriptions", { body: JSON.stringify(body) })).status).toBe(201);
  const shown = (await tenant("GET", "/webhook/subscriptions/names")).body.definition.metadata;
  expect(JSON.stringify(shown)).toBe(JSON.stringify(metadata));
  const faulty = { ...body, id: "faulty", metadata: JSON.parse('{ "__proto__": { "a": 1 } }') as unknown };
  const refused = await tenant("POST", "/webhook/subscriptions", { body: JSON.stringify(faulty) });
  expect(refused.body.errors).toEqual([
    { path: "metadata.__proto__", message: "found an object, allowed: a string" },
  ]);
});

test("whom a subscription of the file is for sees whether its test arrived, not an answer with masks in it", async () => {
  const guess = JSON.stringify({ guess: "token-of-a-subscription-of-the-file" });
  expect(await echoed(tenant, "sub", guess)).toBeNull();
  const seen = (await operator("POST", "/api/subscriptions/sub/test", { body: guess })).body.response;
  expect(seen.body).toContain('{"guess":"***"}');
  for (const secret of OPERATORS) expect(JSON.stringify(seen)).not.toContain(secret);
});

test("a record of a delivery hides what went along in it, and nothing else", async () => {
  await subscribe(tenant, "recorded");
  await jetstream(client).publish("orders.recorded", `guess ${NATS_PASSWORD}, own token-of-recorded`);
  const find = async () => (await operator("GET", "/api/deliveries?subscription=recorded")).body.items;
  await eventually(async () => (await find()).length === 1);
  const [{ id }] = await find();
  const { response } = (await operator("GET", `/api/deliveries/${id}`)).body;
  expect(response.body).toStartWith(`guess ${NATS_PASSWORD}, own ***`);
  expect(response.body).not.toContain("token-of-recorded");
});

test("a header whose value is a word of Relay's own masks no line of the log", async () => {
  const words = ["Consuming", "wordy-id", "running", "Subscription", "ORDERS.wordy", "/webhook"];
  const headers = words.map((value, index) => ({ name: `X-${index}`, value }));
  await subscribe(tenant, "wordy-id", { headers });
  const isOfIt = ({ message, subscription }: LogLine) =>
    message === "Consuming" && subscription === "wordy-id";
  await eventually(() => relay.logs.some(isOfIt));
  expect(relay.logs.filter((line) => JSON.stringify(line).includes("***"))).toEqual([]);
});

test("no secret of the operator stands in what the relay said to anybody", () => {
  const said = relay.logs.map((line) => JSON.stringify(line)).join("\n") + relay.stderr();
  for (const secret of OPERATORS) expect(said).not.toContain(secret);
});
