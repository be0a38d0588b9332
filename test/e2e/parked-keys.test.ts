// `ordering.onFailure: "key"`: a failure parks one key, and the others go on. Any relay lists the parked keys and resumes them.

import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { readMetric } from "../support/metrics.ts";
import { addStream } from "../support/nats.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { startReceiver } from "../support/receiver.ts";
import { runRelay, startRelay } from "../support/relay.ts";

const PARKED = "/api/subscriptions/sub/parked";

test("a rejected message parks its key; the relay that stands by lists it, resumes it, and skips its message", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  const isTaken = new Set<string>();
  await using receiver = await startReceiver(({ body }) =>
    body.toString().startsWith("bad") && !isTaken.has(body.toString()) ? 422 : 200,
  );
  const bodies = () => receiver.requests.map(({ body }) => body.toString());
  const configFor = (name: string) => ({
    ...testConfig({
      natsUrl: nats.url,
      callbackUrl: receiver.url.href,
      qos: "AT_LEAST_ONCE",
      entrypoint: {
        ordering: { key: "subject", onFailure: "key" },
        http: { maxConcurrentConnections: 4 },
      },
    }),
    host: { name },
  });
  await using active = await startRelay({ config: configFor("edge-1") });
  await active.logged("Consuming");
  await using standby = await startRelay({ config: configFor("edge-2") });
  const url = await standby.url();
  const [own, api] = await Promise.all([openApi(await active.url()), openApi(url)]);
  await eventually(async () => (await api("GET", "/api/subscriptions/sub")).body.active?.host === "edge-1");

  const publish = (key: string, text: string) => client.request(`orders.${key}`, text, { timeout: 10_000 });
  for (const [key, text] of [
    ["bad", "bad 1"],
    ["good", "good 1"],
    ["bad", "bad 2"],
    ["good", "good 2"],
  ] as const)
    await publish(key, text);
  await eventually(() => bodies().includes("good 2"));
  const parked = {
    key: "orders.bad",
    sequence: 1,
    messages: 2,
    failureCause: expect.stringContaining("422"),
  };
  await eventually(async () => (await own("GET", PARKED)).body.items.length === 1);
  expect((await own("GET", PARKED)).body).toMatchObject({ items: [parked], next: null });
  await eventually(async () => (await api("GET", PARKED)).body.items[0]?.messages === 2, {
    withinMs: 30_000,
  });
  expect((await api("GET", PARKED)).body).toMatchObject({ items: [parked], next: null });
  expect((await api("GET", "/api/subscriptions/sub")).body).toMatchObject({ consumerStatus: "STARTED" });
  expect(await readMetric(active, "relay_parked_keys")).toBe(1);
  expect(await readMetric(active, "relay_parked_messages")).toBe(2);
  expect(await readMetric(active, "relay_subscription_active")).toBe(1);
  expect(await readMetric(standby, "relay_subscription_active")).toBe(0);

  const table = await runRelay(["subscriptions", "parked", "sub", "--url", url]);
  expect(table.stdout).toMatch(/orders\.bad .* 1 +.*422/);
  const requests = () => bodies().filter((body) => body === "bad 1").length;
  const before = requests();
  const resume = (body: object) => api("POST", `${PARKED}/resume`, { body });
  expect((await resume({ key: "orders.bad" })).body).toEqual({
    key: "orders.bad",
    sequence: 1,
    skip: false,
    host: "edge-1",
  });
  await eventually(() => requests() === before + 1);
  expect((await resume({ key: "orders.other" })).status).toBe(404);
  expect((await resume({ skip: true })).status).toBe(422);

  isTaken.add("bad 2");
  const key = ["--key", "orders.bad", "--skip", "--url", url];
  const { stdout, exitCode } = await runRelay(["subscriptions", "resume", "sub", ...key]);
  expect([exitCode, stdout]).toEqual([0, "sub: orders.bad is resumed, message 1 is skipped\n"]);
  await eventually(() => bodies().includes("bad 2"));
  await eventually(async () => (await api("GET", PARKED)).body.items.length === 0);
  expect((await runRelay(["subscriptions", "parked", "sub", "--url", url])).stdout).toBe(
    "No keys are parked.\n",
  );
  expect(await readMetric(active, "relay_parked_keys")).toBe(0);
}, 120_000);
