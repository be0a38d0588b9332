// A seek that cannot know where the stream ends is refused before anything is touched.

import { jetstreamManager } from "@nats-io/jetstream";
import { expect, test } from "bun:test";
import { openApi } from "../support/api.ts";
import { testConfig } from "../support/config.ts";
import { eventually } from "../support/eventually.ts";
import { startNatsServer } from "../support/nats-server.ts";
import { addStream } from "../support/nats.ts";
import { startReceiver } from "../support/receiver.ts";
import { startRelay } from "../support/relay.ts";

test("seek answers 503 at once while the stream is not there, and while NATS is not", async () => {
  await using nats = await startNatsServer();
  await using receiver = await startReceiver();
  const client = await nats.connect();
  await addStream(client);
  const config = testConfig({ natsUrl: nats.url, callbackUrl: receiver.url.href });
  await using relay = await startRelay({ config });
  const api = await openApi(await relay.url());
  await eventually(async () => (await api("GET", "/readyz")).status === 200);
  const seek = async (reason: string) => {
    const { status, body } = await api("POST", "/api/subscriptions/sub/seek", { body: { sequence: 1 } });
    return status === 503 && body.detail === `Cannot read stream ORDERS: ${reason}`;
  };

  await (await jetstreamManager(client)).streams.delete("ORDERS");
  expect(await seek("stream not found")).toBe(true);
  await client.close();
  await nats.kill();
  await eventually(() => seek("not connected to NATS"));
}, 15_000);
