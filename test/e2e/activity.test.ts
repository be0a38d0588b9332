// `/api/activity` of a running relay: attempts of each subscription, as its document says.

import { jetstream } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

interface Item {
  readonly subscription: string;
  readonly perSecond: number;
  readonly delivered: readonly number[];
  readonly failed: readonly number[];
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

test("GET /api/activity counts what was delivered and what failed, retries included", async () => {
  await using nats = await startNatsServer();
  const client = await nats.connect();
  await addStream(client);
  await using receiver = await startReceiver((_request, index) => (index === 1 ? 404 : 200));
  const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href, hasDeadLetters: true });
  await using relay = await startRelay({ config });
  const api = await openApi(await relay.url());
  expect((await api("GET", "/api/activity")).body).toMatchObject({ items: [], next: null });
  for (let order = 1; order <= 5; order += 1) await jetstream(client).publish("orders.new", String(order));
  const item = await eventually(async () => {
    const { body } = await api("GET", "/api/activity?limit=10");
    const [first] = (body as { items: readonly Item[] }).items;
    return first !== undefined && sum(first.delivered) + sum(first.failed) === 5 && first;
  });
  expect(item.subscription).toBe("sub");
  expect([sum(item.delivered), sum(item.failed)]).toEqual([4, 1]);
  expect(item.perSecond).toBeGreaterThan(0);
  expect((await api("GET", "/api/activity?limit=0")).status).toBe(400);
});
