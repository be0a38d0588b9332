// The pace of the built binary: no flood after an interruption. Its answers: a stop by the callback.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

test("a backlog after an interruption is sent with few requests at a time; a 410 that means stop stops, and loses nothing", async () => {
  await using nats = await startNatsServer();
  let isDown = true;
  let inFlight = 0;
  let failedAt = Number.POSITIVE_INFINITY;
  /** More than the second allows: each doubles their number, from one at the interruption on. */
  const tooMany: string[] = [];
  await using receiver = await startReceiver(async () => {
    const now = performance.now();
    failedAt = Math.min(failedAt, now);
    if (isDown) return 500;
    inFlight += 1;
    const allowed = 2 ** Math.ceil((now - failedAt) / 1000);
    if (inFlight > allowed) tooMany.push(`${inFlight} after ${now - failedAt} ms`);
    await Bun.sleep(50);
    inFlight -= 1;
    return 200;
  });
  const client = await nats.connect();
  await addStream(client);
  const config = testConfig({
    natsUrl: nats.url,
    callbackUrl: receiver.url.href,
    entrypoint: {
      http: { maxConcurrentConnections: 20 },
      responses: { "410": "stop" },
      resume: { strategy: "AUTO", initialDelaySeconds: 1, maxDelaySeconds: 1 },
    },
  });
  await using relay = await startRelay({ config });
  const api = await openApi(await relay.url());
  const show = async () => (await api("GET", "/api/subscriptions/sub")).body;
  for (let index = 0; index < 40; index += 1) await jetstream(client).publish("orders.a", String(index));
  await eventually(async () => {
    const { consumerStatus, inFlight } = await show();
    return consumerStatus === "FAILURE" && inFlight === 0;
  });
  isDown = false;
  const before = receiver.requests.length;
  await eventually(() => receiver.requests.length > before + 8);
  expect(tooMany).toEqual([]);
  receiver.respond(() => 410);
  await eventually(async () => (await show()).consumerStatus === "STOPPED");
  expect((await show()).failureCause).toMatch(/^Message \d+ of ORDERS \(orders\.a\): Callback answered 410/u);
  const sent = receiver.requests.length;
  receiver.respond(() => 200);
  await api("POST", "/api/subscriptions/sub/start");
  await eventually(async () => (await show()).pending === 0 && (await show()).ackPending === 0);
  expect(receiver.requests.length).toBeGreaterThan(sent);
  expect(new Set(receiver.requests.map(({ body }) => body.toString())).size).toBe(40);
}, 120_000);
